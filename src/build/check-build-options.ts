import {CoracleError} from '../errors.js';
import {nearestName} from '../sdk/index.js';
import type {BuildOptions} from './build-options.js';

const KNOWN: Readonly<Record<keyof BuildOptions, true>> = {
  dockerfile: true,
  tags: true,
  buildArgs: true,
  labels: true,
  target: true,
  platform: true,
  pull: true,
  noCache: true,
  cacheFrom: true,
  secrets: true,
  network: true,
  extraHosts: true,
  limits: true,
  shmSizeBytes: true,
  ulimits: true,
  cgroupParent: true,
  onProgress: true,
  signal: true,
};

/** Misspelt ones, before anything happens. What a RUN is given is checked as `Container.run` does. @throws `ERR_INVALID_OPTION` */
export function checkBuildOptions(options: BuildOptions): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(KNOWN, name)) continue;
    const nearest = nearestName(name, Object.keys(KNOWN));
    throw new CoracleError('ERR_INVALID_OPTION', `there is no build option ${JSON.stringify(name)}`, {
      ...(nearest !== undefined && {hint: `Did you mean ${nearest}?`}),
      details: {option: name},
    });
  }
  for (const name of Object.keys(options.buildArgs ?? {})) {
    if (name !== '' && !name.includes('=') && !name.includes('\0')) continue;
    throw new CoracleError('ERR_INVALID_OPTION', `${JSON.stringify(name)} is no name of a build argument`, {
      details: {option: 'buildArgs'},
    });
  }
}
