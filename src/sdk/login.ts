/** `docker login` and `logout`: credentials are kept only once the registry has accepted them. */
import {CoracleError} from '../errors.js';
import {type Credentials, DOCKER_HUB, Registry, RegistryRefusal} from '../registry/index.js';
import type {Configuration} from './config-file.js';
import {
  eraseCredentials,
  findCredentials,
  hostOf,
  type StoredCredentials,
  serverOf,
  storeCredentials,
} from './registry-credentials.js';
import {registrySettings} from './registry-settings.js';

export interface LoginOptions {
  /** Without both: those that are stored are tried. */
  readonly username?: string;
  readonly password?: string;
  readonly signal?: AbortSignal;
}

export interface LoggedIn extends StoredCredentials {
  readonly username: string;
}

/** @param server `registry.example:5000`; @default the default registry */
export async function loginTo(
  server: string | undefined,
  {username, password, signal}: LoginOptions,
  configuration: Configuration,
): Promise<LoggedIn> {
  const name = registryOf(server, configuration);
  const given =
    username !== undefined && password !== undefined ? {username, password} : await findCredentials(name);
  if (given === undefined) {
    throw new CoracleError('ERR_CREDENTIALS', `there are no credentials for ${name}`, {
      hint: `Give a name and a password: coracle login -u NAME ${name}`,
      details: {registry: name},
    });
  }
  const credentials = await verify(name, given, configuration, signal);
  const stored =
    given === credentials && username === undefined ? {} : await storeCredentials(name, credentials);
  return {username: given.username ?? '', ...stored};
}

export interface KnownLogin {
  readonly registry: string;
  readonly username: string;
}

/** Whose credentials are stored; undefined when none are. */
export async function knownLogin(
  server: string | undefined,
  configuration: Configuration,
): Promise<KnownLogin | undefined> {
  const registry = registryOf(server, configuration);
  const credentials = await findCredentials(registry);
  return credentials && {registry, username: credentials.username ?? ''};
}

/** @returns the server's name as it was stored */
export async function logoutFrom(server: string | undefined, configuration: Configuration): Promise<string> {
  const registry = registryOf(server, configuration);
  await eraseCredentials(registry);
  return serverOf(registry);
}

function registryOf(server: string | undefined, {defaultRegistry}: Configuration): string {
  const name = hostOf(server ?? defaultRegistry ?? DOCKER_HUB);
  if (!/^[A-Za-z0-9.:[\]-]+$/.test(name)) {
    throw new CoracleError(
      'ERR_INVALID_REFERENCE',
      `not the name of a registry: ${JSON.stringify(name.slice(0, 100))}`,
    );
  }
  return serverOf(name) === name ? name : DOCKER_HUB;
}

/** @returns what to keep: the token server may give a token in place of the password */
async function verify(
  name: string,
  given: Credentials,
  configuration: Configuration,
  signal: AbortSignal | undefined,
): Promise<Credentials> {
  using registry = new Registry(name, {...registrySettings(configuration), credentials: async () => given});
  try {
    const {address, status, statusText} = await registry.ping(signal);
    if (status === 200) {
      const {identityToken} = registry;
      return identityToken === undefined
        ? given
        : {identityToken, ...(given.username !== undefined && {username: given.username})};
    }
    throw denied(name, `login attempt to ${address.href} failed with status: ${status} ${statusText}`);
  } catch (error) {
    if (!(error instanceof RegistryRefusal)) throw error;
    throw denied(name, `Get "https://${name}/v2/": ${error.message}`, error);
  }
}

function denied(registry: string, message: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_REGISTRY_DENIED', message, {cause, details: {registry}});
}
