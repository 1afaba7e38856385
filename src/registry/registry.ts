/**
 * One registry: where it is, how it wants to be asked, and one request to it. Redirects are followed here, since it is
 * here that is known what must not be sent along.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
import {CoracleError} from '../errors.js';
import {Authorization, type Credentials, type Scope} from './authorization.js';
import {readBounded} from './bounded-body.js';
import {Http, type HttpAnswer, type HttpRequest, type TlsMaterial} from './http.js';
import {type Environment, inSubnet, isCidr, isLoopback} from './proxy.js';
import {badResponse, parseFaults, RegistryRefusal, unreachable} from './registry-error.js';
import {DEFAULT_RETRY, isTransient, type RetryPolicy, retryAfterMs, withRetries} from './retry.js';

/** What configuration and environment say of registries. Nothing here reads a file: the caller does. */
export interface RegistrySettings {
  /** For `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. @default {} */
  readonly env?: Environment;
  /** `host[:port]` or subnets, whose registries may have no TLS or a certificate that proves nothing. This host's may. @default [] */
  readonly insecure?: readonly string[];
  /** Addresses that are asked in place of docker.io, in this order, before itself. @default [] */
  readonly mirrors?: readonly string[];
  /** Of a registry, by the name that references have. @default anonymous */
  readonly credentials?: (registry: string) => Promise<Credentials | undefined>;
  /** @default the system's authorities */
  readonly tlsFor?: (host: string) => TlsMaterial;
  /** After so long without a byte an exchange has failed. @default 60_000 */
  readonly idleMs?: number;
  readonly retry?: RetryPolicy;
  /** @default 'coracle' */
  readonly userAgent?: string;
  /** Bytes of a blob sent at once; what was sent before survives a broken connection. @default the whole blob */
  readonly uploadChunkBytes?: number;
}

export interface RegistryRequest extends Omit<HttpRequest, 'url' | 'verifyTls'> {
  /** Below the registry, or what it named itself. */
  readonly url: string | URL;
  /** What for. */
  readonly scopes: readonly Scope[];
  /** Whether failures that pass are waited out here; what is sent as a stream is sent once. @default true */
  readonly retries?: boolean;
  /** Status codes that are an answer, not a refusal. @default 200 to 299 */
  readonly accepts?: readonly number[];
}

/** The registry that names without one mean, and where it is asked. */
export const DOCKER_HUB = 'docker.io';
const DOCKER_HUB_HOST = 'registry-1.docker.io';

export class Registry implements Disposable {
  /** As references name it. */
  readonly name: string;
  readonly settings: RegistrySettings;
  readonly retry: RetryPolicy;
  readonly #http: Http;
  readonly #candidates: readonly URL[];
  readonly #mayBeInsecure: boolean;
  readonly #authorization: Authorization;
  #base: Promise<URL> | undefined;

  /** @param address of a mirror; @default by the name */
  constructor(name: string, settings: RegistrySettings = {}, address?: URL) {
    this.name = name;
    this.settings = settings;
    this.retry = settings.retry ?? DEFAULT_RETRY;
    const host = address?.host ?? (name === DOCKER_HUB ? DOCKER_HUB_HOST : name);
    this.#mayBeInsecure = address?.protocol === 'http:' || !this.#verifies(host);
    // Where an address was given nothing is tried: the first request tells.
    if (address !== undefined) this.#base = Promise.resolve(address);
    this.#candidates =
      address !== undefined
        ? [address]
        : [new URL(`https://${host}/`), ...(this.#mayBeInsecure ? [new URL(`http://${host}/`)] : [])];
    this.#http = new Http({
      env: settings.env ?? {},
      tlsFor: settings.tlsFor ?? (() => ({})),
      idleMs: settings.idleMs ?? IDLE_MS,
      userAgent: settings.userAgent ?? 'coracle',
    });
    this.#authorization = new Authorization({
      http: this.#http,
      host: name,
      allowsPlainHttp: this.#mayBeInsecure,
      verifies: server => this.#verifies(server),
      credentials: async () => settings.credentials?.(address === undefined ? name : address.host),
      retry: this.retry,
    });
  }

  [Symbol.dispose](): void {
    this.#http.close();
  }

  /** After `login`: what its token server gave to be kept in place of the password. */
  get identityToken(): string | undefined {
    return this.#authorization.identityToken;
  }

  /** Asks for nothing, with the credentials if any are asked for. @returns where it was found */
  async ping(
    signal?: AbortSignal,
  ): Promise<{readonly address: URL; readonly status: number; readonly statusText: string}> {
    const base = await this.#found(signal);
    const url = new URL('v2/', base);
    const authorization = await this.#authorization.header([], signal);
    const {status, statusText, body} = await this.#send({method: 'GET', url, signal}, authorization);
    body.destroy();
    return {address: url, status, statusText};
  }

  /**
   * The answer's head; its body is to be read or destroyed.
   * @throws `ERR_REGISTRY_UNREACHABLE`, `ERR_REGISTRY_DENIED`, `ERR_REGISTRY_RESPONSE`, `ERR_REGISTRY_BUSY`,
   * `ERR_NOT_IN_REGISTRY`
   */
  async request(request: RegistryRequest): Promise<HttpAnswer> {
    const {retries = true, body, signal} = request;
    const policy = retries && !isStream(body) ? this.retry : {...this.retry, attempts: 1};
    return await withRetries(() => this.#requestOnce(request), {policy, signal});
  }

  /** The whole body of the answer. */
  async read(
    request: RegistryRequest,
    mostBytes: number,
    what: string,
  ): Promise<{answer: HttpAnswer; bytes: Buffer}> {
    const {signal} = request;
    return await withRetries(
      async () => {
        const answer = await this.#requestOnce(request);
        try {
          return {answer, bytes: await readBounded(answer, mostBytes, what)};
        } catch (error) {
          signal?.throwIfAborted();
          throw isTransient(error) ? unreachable(request.method, answer.url, error) : error;
        }
      },
      {policy: this.retry, signal},
    );
  }

  async #requestOnce(request: RegistryRequest): Promise<HttpAnswer> {
    const {scopes, signal, accepts} = request;
    const base = await this.#found(signal);
    const url = new URL(request.url, base);
    // Of an upload the registry may name another host: it gets no credentials.
    const isOwn = url.origin === base.origin;
    if (base.protocol === 'https:' && url.protocol !== 'https:') throw this.#downgrade(url);
    for (let isSecond = false; ; isSecond = true) {
      const authorization = isOwn ? await this.#authorization.header(scopes, signal) : undefined;
      const answer = await this.#follow({...request, url}, authorization);
      if (
        answer.status === 401 &&
        isOwn &&
        answer.url.origin === base.origin &&
        !isSecond &&
        !isStream(request.body)
      ) {
        answer.body.resume();
        this.#authorization.learn(answer);
        this.#authorization.forget(scopes);
        continue;
      }
      if (accepts?.includes(answer.status) ?? (answer.status >= 200 && answer.status < 300)) return answer;
      throw await this.#refusal(answer);
    }
  }

  async #follow(
    request: RegistryRequest & {readonly url: URL},
    authorization: string | undefined,
  ): Promise<HttpAnswer> {
    let {url} = request;
    let sent = authorization;
    for (let hops = 0; ; hops++) {
      const answer = await this.#send({...request, url}, sent);
      const {location} = answer.headers;
      if (
        !REDIRECTS.has(answer.status) ||
        location === undefined ||
        !['GET', 'HEAD'].includes(request.method)
      )
        return answer;
      answer.body.resume();
      if (hops === MOST_HOPS) throw badResponse(this.name, `sent us on more than ${MOST_HOPS} times`);
      const next = this.#next(url, location);
      if (next.origin !== url.origin) sent = undefined; // nor ever again: it may lead back
      url = next;
    }
  }

  #next(from: URL, location: string): URL {
    if (!URL.canParse(location, String(from))) throw badResponse(this.name, 'sent us on to no address');
    const next = new URL(location, from);
    next.username = '';
    next.password = '';
    if (next.protocol !== 'https:' && next.protocol !== 'http:')
      throw badResponse(this.name, `sent us on to ${next.protocol}`);
    if (from.protocol === 'https:' && next.protocol !== 'https:') throw this.#downgrade(next);
    return next;
  }

  #downgrade(url: URL): CoracleError {
    return badResponse(this.name, `sent us on to an address without TLS: ${url.protocol}//${url.host}`);
  }

  async #send(
    request: Omit<HttpRequest, 'verifyTls'>,
    authorization: string | undefined,
  ): Promise<HttpAnswer> {
    const {method, url, headers, body, idleMs, signal} = request;
    try {
      return await this.#http.send({
        method,
        url,
        headers: {...headers, ...(authorization !== undefined && {authorization})},
        ...(body !== undefined && {body}),
        ...(idleMs !== undefined && {idleMs}),
        verifyTls: this.#verifies(url.host),
        signal,
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof CoracleError) throw error;
      throw unreachable(method, url, error);
    }
  }

  /** Whoever's authority was named is held to it. */
  #verifies(host: string): boolean {
    const {insecure = [], tlsFor} = this.settings;
    return !isInsecure(host, insecure) || tlsFor?.(host).isNamed === true;
  }

  async #refusal(answer: HttpAnswer): Promise<CoracleError> {
    const {status, statusText, headers} = answer;
    // What it says for people is not worth another failure.
    const text = await readBounded(answer, REFUSAL_BYTES, 'an error').then(String, () => '');
    return new RegistryRefusal({
      host: this.name,
      status,
      statusText,
      faults: parseFaults(text),
      retryAfterMs: retryAfterMs(headers['retry-after']),
    });
  }

  /** The address that answers, found once. */
  async #found(signal: AbortSignal | undefined): Promise<URL> {
    this.#base ??= this.#find(signal);
    const finding = this.#base;
    try {
      return await finding;
    } catch (error) {
      if (this.#base === finding) this.#base = undefined;
      throw error;
    }
  }

  /** Where TLS is not asked for it is tried first all the same, as Docker does. */
  async #find(signal: AbortSignal | undefined): Promise<URL> {
    for (const [index, base] of this.#candidates.entries()) {
      try {
        const url = new URL('v2/', base);
        const isLast = index === this.#candidates.length - 1;
        const answer = await withRetries(() => this.#send({method: 'GET', url, signal}, undefined), {
          policy: isLast ? this.retry : {...this.retry, attempts: 1},
          signal,
        });
        answer.body.resume();
        this.#authorization.learn(answer);
        return base;
      } catch (error) {
        const another = index < this.#candidates.length - 1;
        if (!another || (error as CoracleError).code !== 'ERR_REGISTRY_UNREACHABLE') throw error;
      }
    }
    throw badResponse(this.name, 'has no address');
  }
}

const IDLE_MS = 60_000;
const MOST_HOPS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const REFUSAL_BYTES = 64 * 1024;

function isStream(body: HttpRequest['body']): boolean {
  return body !== undefined && !(body instanceof Uint8Array);
}

/** Named one by one, by subnet, or this host's own. */
function isInsecure(host: string, insecure: readonly string[]): boolean {
  const {hostname} = new URL(`http://${host}`);
  const address = hostname.replace(/^\[|\]$/g, '');
  return (
    isLoopback(hostname) ||
    insecure.some(entry => (isCidr(entry) ? inSubnet(address, entry) : entry === host || entry === hostname))
  );
}

/** Where an image of this registry is looked for: mirrors first, of docker.io alone. */
export function pullSources(name: string, settings: RegistrySettings): Registry[] {
  const mirrors = name === DOCKER_HUB ? (settings.mirrors ?? []) : [];
  return [
    ...mirrors.map(address => new Registry(name, settings, new URL(address))),
    new Registry(name, settings),
  ];
}
