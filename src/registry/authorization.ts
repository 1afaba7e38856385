/**
 * What goes into `Authorization` for one registry: nothing, the name and password, or a token that its token server
 * gives for them. Tokens are kept until they expire.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import {CoracleError} from '../errors.js';
import {readBounded} from './bounded-body.js';
import {type Challenge, parseChallenges} from './challenge.js';
import type {Http, HttpAnswer} from './http.js';
import {badResponse, parseFaults, RegistryRefusal, unreachable} from './registry-error.js';
import {isTransient, type RetryPolicy, retryAfterMs, withRetries} from './retry.js';

/** A name with a password, or with what a token server gave in place of one. */
export type Credentials =
  | {readonly username: string; readonly password: string}
  | {readonly username?: string; readonly identityToken: string};

/** `repository:library/alpine:pull` */
export type Scope = string;

export function repositoryScope(repository: string, ...actions: ('pull' | 'push' | 'delete')[]): Scope {
  return `repository:${repository}:${actions.join(',')}`;
}

interface Token {
  readonly value: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

export interface AuthorizationSettings {
  readonly http: Http;
  /** Of the registry, for messages. */
  readonly host: string;
  /** Where the registry itself may be asked without TLS, its token server may be. */
  readonly allowsPlainHttp: boolean;
  /** Whether a server's certificate has to prove anything. */
  readonly verifies: (host: string) => boolean;
  readonly credentials: () => Promise<Credentials | undefined>;
  readonly retry: RetryPolicy;
}

export class Authorization {
  readonly #settings: AuthorizationSettings;
  readonly #tokens = new Map<string, Promise<Token>>();
  #challenge: Challenge | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;
  /** What the token server gave to be used in place of the password. */
  #identityToken: string | undefined;

  constructor(settings: AuthorizationSettings) {
    this.#settings = settings;
  }

  /** Given by the token server at a login that asked for it. */
  get identityToken(): string | undefined {
    return this.#identityToken;
  }

  /** Takes note of how the registry wants to be asked. Only its own answers count, not those it sent us on to. */
  learn({status, headers}: HttpAnswer): void {
    if (status !== 401) return;
    const header = headers['www-authenticate'];
    const challenges = parseChallenges(header ?? '');
    if (challenges === undefined || header === undefined) {
      throw badResponse(
        this.#settings.host,
        'wants to be asked in a way that cannot be read (WWW-Authenticate)',
      );
    }
    const known =
      challenges.find(({scheme}) => scheme === 'bearer') ?? challenges.find(({scheme}) => scheme === 'basic');
    if (known === undefined) {
      throw badResponse(
        this.#settings.host,
        `wants the authentication "${challenges.map(({scheme}) => scheme).join(', ')}", which is not supported`,
      );
    }
    this.#challenge = known;
  }

  /** Throws away the token that was not accepted. */
  forget(scopes: readonly Scope[]): void {
    this.#tokens.delete(scopes.join(' '));
  }

  /** Undefined where nothing is asked for. @throws `ERR_REGISTRY_DENIED` and what the token server answers */
  async header(scopes: readonly Scope[], signal?: AbortSignal): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'bearer') return `Bearer ${await this.#token(challenge, scopes, signal)}`;
    const credentials = await this.#known();
    if (credentials === undefined || !('password' in credentials)) {
      throw new CoracleError('ERR_REGISTRY_DENIED', 'no basic auth credentials', {
        hint: `Log in first: coracle login ${this.#settings.host}`,
        details: {registry: this.#settings.host},
      });
    }
    return basic(credentials);
  }

  #known(): Promise<Credentials | undefined> {
    this.#credentials ??= this.#settings.credentials();
    return this.#credentials;
  }

  async #token(challenge: Challenge, scopes: readonly Scope[], signal?: AbortSignal): Promise<string> {
    const key = scopes.join(' ');
    const known = await this.#tokens.get(key)?.catch(() => undefined);
    if (known !== undefined && known.expires > Date.now()) return known.value;
    const fetched = withRetries(() => this.#fetchToken(challenge, scopes, signal), {
      policy: this.#settings.retry,
      signal,
    });
    this.#tokens.set(key, fetched);
    try {
      return (await fetched).value;
    } catch (error) {
      if (this.#tokens.get(key) === fetched) this.#tokens.delete(key);
      throw error;
    }
  }

  async #fetchToken(
    {parameters}: Challenge,
    scopes: readonly Scope[],
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const realm = this.#realm(parameters['realm']);
    const {service} = parameters;
    const credentials = await this.#known();
    const answer = await this.#ask(realm, service, scopes, credentials, signal);
    const text = (await this.#read(answer)).toString('utf8');
    if (answer.status !== 200) {
      const {status, statusText, headers} = answer;
      throw new RegistryRefusal({
        host: this.#settings.host,
        status,
        statusText,
        faults: parseFaults(text),
        retryAfterMs: retryAfterMs(headers['retry-after']),
      });
    }
    return this.#parseToken(text, realm);
  }

  async #read(answer: HttpAnswer): Promise<Buffer> {
    try {
      return await readBounded(answer, TOKEN_BYTES, 'a token');
    } catch (error) {
      throw isTransient(error) ? unreachable('GET', answer.url, error) : error;
    }
  }

  /** A registry with TLS is not believed when its token server has none: what it would be sent is secret. */
  #realm(text: string | undefined): URL {
    const {host, allowsPlainHttp} = this.#settings;
    if (text === undefined || !URL.canParse(text)) throw badResponse(host, 'names no token server');
    const realm = new URL(text);
    if (realm.protocol !== 'https:' && !(realm.protocol === 'http:' && allowsPlainHttp)) {
      throw badResponse(host, `has a token server without TLS: ${realm.protocol}//${realm.host}`);
    }
    realm.username = '';
    realm.password = '';
    return realm;
  }

  async #ask(
    realm: URL,
    service: string | undefined,
    scopes: readonly Scope[],
    credentials: Credentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer> {
    const {http, verifies} = this.#settings;
    const method = credentials !== undefined && 'identityToken' in credentials ? 'POST' : 'GET';
    const url = new URL(realm);
    const shared = {url, verifyTls: verifies(realm.host), signal};
    try {
      if (credentials !== undefined && 'identityToken' in credentials) {
        const form = new URLSearchParams({
          grant_type: 'refresh_token',
          refresh_token: credentials.identityToken,
          client_id: CLIENT_ID,
          ...(service !== undefined && {service}),
          ...(scopes.length > 0 && {scope: scopes.join(' ')}),
        });
        return await http.send({
          ...shared,
          method: 'POST',
          headers: {
            'content-type': 'application/x-www-form-urlencoded',
            'content-length': String(String(form).length),
          },
          body: Buffer.from(String(form)),
        });
      }
      if (service !== undefined) url.searchParams.append('service', service);
      for (const scope of scopes) url.searchParams.append('scope', scope);
      if (credentials !== undefined) {
        url.searchParams.append('account', credentials.username);
        if (scopes.length === 0) {
          url.searchParams.append('offline_token', 'true');
          url.searchParams.append('client_id', CLIENT_ID);
        }
      }
      return await http.send({
        ...shared,
        method: 'GET',
        headers: credentials === undefined ? {} : {authorization: basic(credentials)},
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(method, realm, error);
    }
  }

  #parseToken(text: string, realm: URL): Token {
    let document: unknown;
    try {
      document = JSON.parse(text);
    } catch (cause) {
      throw badResponse(realm.host, 'gave a token that is not JSON', cause);
    }
    const {token, access_token, expires_in, refresh_token} = (document ?? {}) as Record<string, unknown>;
    const value = token || access_token;
    // It becomes a header: nothing in it may end one.
    if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
      throw badResponse(realm.host, 'gave no token');
    if (typeof refresh_token === 'string' && refresh_token !== '') this.#identityToken = refresh_token;
    const seconds = typeof expires_in === 'number' && expires_in > 0 ? Math.min(expires_in, 86_400) : 60;
    // Taken for expired a little early: the way there takes time, and clocks differ.
    return {value, expires: Date.now() + seconds * 1000 * 0.9};
  }
}

const TOKEN_BYTES = 1024 * 1024;
const CLIENT_ID = 'coracle';

function basic({username, password}: {readonly username: string; readonly password: string}): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
