/**
 * One HTTP exchange on Node's own client: proxies, certificates, an end to silence. It knows nothing of registries and
 * follows no redirect: decision 0020.
 */
import http, {type ClientRequest, type IncomingHttpHeaders, type IncomingMessage} from 'node:http';
import https from 'node:https';
import type {Duplex} from 'node:stream';
import {pipeline, Readable} from 'node:stream';
import tls, {type SecureContext} from 'node:tls';
import {type Environment, proxyFor} from './proxy.js';

/** Of one host and port, in PEM. Absent = the system's. */
export interface TlsMaterial {
  /** Authorities that its certificate may be signed by. */
  readonly ca?: readonly (string | Buffer)[];
  /** The authorities are those that somebody named for this host. @default false */
  readonly isNamed?: boolean;
  /** Who we are to it. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

export interface HttpSettings {
  /** For `HTTP_PROXY` and its companions. */
  readonly env: Environment;
  /** By host and port as references write them. */
  readonly tlsFor: (host: string) => TlsMaterial;
  /** After so long without a byte in either direction an exchange has failed. */
  readonly idleMs: number;
  readonly userAgent: string;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly verifyTls?: boolean;
  /** @default the settings' */
  readonly idleMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly url: URL;
  readonly status: number;
  readonly statusText: string;
  readonly headers: IncomingHttpHeaders;
  /** To be read to its end, or destroyed. */
  readonly body: IncomingMessage;
}

export class Http {
  readonly #settings: HttpSettings;
  readonly #agents = new Map<string, http.Agent>();
  readonly #contexts = new Map<string, SecureContext>();

  constructor(settings: HttpSettings) {
    this.#settings = settings;
  }

  /** Resolves with the answer's head. @throws the system's error, or the signal's reason */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const {url, signal} = request;
    signal?.throwIfAborted();
    const proxy = proxyFor(url, this.#settings.env);
    try {
      return await exchange(request, this.#options(request, proxy));
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }

  /** Ends connections that wait for another request. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  #options({method, url, headers, idleMs, verifyTls = true}: HttpRequest, proxy: URL | undefined) {
    const throughProxy = proxy !== undefined && url.protocol === 'http:';
    const target = throughProxy ? proxy : url;
    return {
      method,
      protocol: target.protocol,
      hostname: bare(target),
      port: portOf(target),
      path: throughProxy ? url.href : url.pathname + url.search,
      headers: {
        host: url.host,
        'user-agent': this.#settings.userAgent,
        'accept-encoding': 'identity',
        ...(throughProxy && proxyAuthorization(proxy)),
        ...headers,
      },
      timeout: idleMs ?? this.#settings.idleMs,
      agent: this.#agent(url, proxy, verifyTls),
    };
  }

  #agent(url: URL, proxy: URL | undefined, verifyTls: boolean): http.Agent {
    const key = `${proxy?.href ?? ''} ${url.origin} ${verifyTls}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const agent = this.#makeAgent(url, proxy, verifyTls);
    this.#agents.set(key, agent);
    return agent;
  }

  #makeAgent(url: URL, proxy: URL | undefined, verifyTls: boolean): http.Agent {
    const keep = {keepAlive: true, timeout: this.#settings.idleMs};
    if (url.protocol === 'http:') {
      return proxy?.protocol === 'https:'
        ? new https.Agent({...keep, secureContext: this.#context(proxy.host)})
        : new http.Agent(keep);
    }
    const secure = {...keep, secureContext: this.#context(url.host), rejectUnauthorized: verifyTls};
    if (proxy === undefined) return new https.Agent(secure);
    return new TunnelAgent(secure, {
      proxy,
      idleMs: this.#settings.idleMs,
      ...(proxy.protocol === 'https:' && {secureContext: this.#context(proxy.host)}),
    });
  }

  /** Made once for each host: reading a system's authorities takes milliseconds. */
  #context(host: string): SecureContext {
    const known = this.#contexts.get(host);
    if (known !== undefined) return known;
    const {ca, cert, key} = this.#settings.tlsFor(host);
    const context = tls.createSecureContext({
      ...(ca && {ca: [...ca]}),
      ...(cert !== undefined && {cert}),
      ...(key !== undefined && {key}),
    });
    this.#contexts.set(host, context);
    return context;
  }
}

function exchange({url, body, signal}: HttpRequest, options: http.RequestOptions): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = (options.protocol === 'https:' ? https : http).request(options);
    request.on('timeout', () => request.destroy(new SilenceError(options.timeout!)));
    request.on('error', reject); // after an answer it is the reader of the body who hears of it
    destroyOnAbort(request, signal);
    request.once('response', response => {
      destroyOnAbort(response, signal);
      response.on('error', () => {}); // its reader is told; where nobody reads on, nobody needs to be
      response.once('end', () => {
        if (!request.writableFinished) request.destroy(); // it had heard enough
      });
      resolve({
        url,
        status: response.statusCode!,
        statusText: response.statusMessage ?? '',
        headers: response.headers,
        body: response,
      });
    });
    sendBody(request, body);
  });
}

/** Node's own option would tie the connection to the signal, which lives longer than the request. */
function destroyOnAbort(stream: ClientRequest | IncomingMessage, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const destroy = () => stream.destroy(ABORTED);
  signal.addEventListener('abort', destroy, {once: true});
  stream.once('close', () => signal.removeEventListener('abort', destroy));
}

/** Nobody sees it: whoever meets it throws the signal's reason. */
const ABORTED = new Error('aborted');

function sendBody(request: ClientRequest, body: HttpRequest['body']): void {
  if (body === undefined || body instanceof Uint8Array) request.end(body);
  else pipeline(Readable.from(body, {objectMode: false}), request, () => {}); // a failure is the request's
}

/** The other side has said nothing for so long. */
class SilenceError extends Error {
  readonly code = 'ETIMEDOUT';

  constructor(idleMs: number) {
    super(`no answer within ${idleMs / 1000} s`);
  }
}

interface Tunnel {
  readonly proxy: URL;
  readonly idleMs: number;
  readonly secureContext?: SecureContext;
}

/** TLS through `CONNECT`: the proxy sees host and port, nothing else. */
class TunnelAgent extends https.Agent {
  readonly #tunnel: Tunnel;

  constructor(options: https.AgentOptions, tunnel: Tunnel) {
    super(options);
    this.#tunnel = tunnel;
  }

  override createConnection(
    options: http.ClientRequestArgs & tls.ConnectionOptions,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const {proxy, idleMs, secureContext} = this.#tunnel;
    const authority = `${options.host}:${options.port}`;
    const request = (proxy.protocol === 'https:' ? https : http).request({
      method: 'CONNECT',
      hostname: bare(proxy),
      port: portOf(proxy),
      path: authority,
      headers: {host: authority, ...proxyAuthorization(proxy)},
      timeout: idleMs,
      agent: false,
      ...(secureContext && {secureContext}),
    });
    const fail = (error: Error) => callback?.(error, undefined as unknown as Duplex);
    request.on('timeout', () => request.destroy(new SilenceError(idleMs)));
    request.on('error', fail);
    request.once('connect', ({statusCode}, socket) => {
      if (statusCode === 200) {
        callback?.(null, tls.connect({...options, socket}));
      } else {
        socket.destroy();
        fail(new Error(`the proxy ${proxy.host} answered ${statusCode} to CONNECT ${authority}`));
      }
    });
    request.end();
    return undefined;
  }
}

function proxyAuthorization({username, password}: URL): Record<string, string> {
  if (username === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}`};
}

function bare({hostname}: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function portOf({port, protocol}: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}
