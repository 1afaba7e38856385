/** Which credentials belong to which registry, wherever they are kept. They go to that registry and to nobody else. */
import {type Credentials, DOCKER_HUB} from '../registry/index.js';
import {helperErase, helperGet, helperStore} from './credential-helper.js';
import {type DockerConfig, readDockerConfig, writeDockerAuth} from './docker-config.js';

/** Docker's name for its own registry in the file. */
const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/';

/** As the file names a registry. @param registry as references name it */
export function serverOf(registry: string): string {
  return [DOCKER_HUB, 'index.docker.io', 'registry-1.docker.io'].includes(registry)
    ? DOCKER_HUB_SERVER
    : registry;
}

/** @throws `ERR_CREDENTIALS` */
export async function findCredentials(
  registry: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Credentials | undefined> {
  const config = readDockerConfig(env);
  const server = serverOf(registry);
  const helper = helperFor(config, server);
  if (helper !== undefined) return await helperGet(helper, server);
  const exact = config.auths.get(server);
  if (exact !== undefined) return exact;
  // Old clients wrote whole addresses.
  return [...config.auths].find(([key]) => key !== DOCKER_HUB_SERVER && hostOf(key) === hostOf(server))?.[1];
}

export interface StoredCredentials {
  /** The file that has them as good as readable; undefined: a credential helper keeps them. */
  readonly unencryptedIn?: string;
}

export async function storeCredentials(
  registry: string,
  credentials: Credentials,
  env: NodeJS.ProcessEnv = process.env,
): Promise<StoredCredentials> {
  const config = readDockerConfig(env);
  const server = serverOf(registry);
  const helper = helperFor(config, server);
  if (helper === undefined) {
    writeDockerAuth(config.path, server, credentials);
    return {unencryptedIn: config.path};
  }
  await helperStore(helper, server, credentials);
  return {};
}

export async function eraseCredentials(
  registry: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const config = readDockerConfig(env);
  const server = serverOf(registry);
  const helper = helperFor(config, server);
  if (helper !== undefined) await helperErase(helper, server);
  for (const key of config.auths.keys()) {
    if (key === server || (key !== DOCKER_HUB_SERVER && hostOf(key) === hostOf(server))) {
      writeDockerAuth(config.path, key, undefined);
    }
  }
}

function helperFor({credHelpers, credsStore}: DockerConfig, server: string): string | undefined {
  return credHelpers.get(server) ?? credHelpers.get(hostOf(server)) ?? credsStore;
}

/** `https://registry.example:5000/v1/` is `registry.example:5000`. */
export function hostOf(server: string): string {
  return server.replace(/^https?:\/\//, '').split('/')[0]!;
}
