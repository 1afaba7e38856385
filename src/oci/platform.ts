/** Platforms of images, named as Go names them: `linux/amd64`, `linux/arm64/v8`. */
import {CoracleError} from '../errors.js';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** What a Node on Linux runs natively. @param arch `process.arch` */
export function platformOf(arch: string): Platform {
  return {os: 'linux', architecture: ARCHITECTURES[arch] ?? arch};
}

/** @throws `ERR_INVALID_PLATFORM` */
export function parsePlatform(text: string): Platform {
  const match = /^([a-z0-9_]+)\/([a-z0-9_]+)(?:\/([a-z0-9_.]+))?$/.exec(text);
  if (!match) {
    throw new CoracleError('ERR_INVALID_PLATFORM', `"${text}" is an invalid platform`, {
      hint: 'A platform is os/architecture[/variant]: linux/amd64, linux/arm64/v8',
    });
  }
  const [, os, architecture, variant] = match;
  return normal({os: os!, architecture: architecture!, ...(variant !== undefined && {variant})});
}

export function formatPlatform({os, architecture, variant}: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** Whether an image made for `offered` runs on `wanted`. A variant that only one of them names is no obstacle. */
export function platformMatches(offered: Platform, wanted: Platform): boolean {
  const [a, b] = [normal(offered), normal(wanted)];
  if (a.os !== b.os || a.architecture !== b.architecture) return false;
  return a.variant === undefined || b.variant === undefined || a.variant === b.variant;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  arm64: 'arm64',
  arm: 'arm',
};
const ALIASES: Readonly<Record<string, string>> = {x86_64: 'amd64', aarch64: 'arm64', i386: '386'};

/** arm64's only variant so far, v8, may be left out. */
function normal({os, architecture, variant}: Platform): Platform {
  const name = ALIASES[architecture] ?? architecture;
  const implied = variant === undefined || (name === 'arm64' && variant === 'v8');
  return implied ? {os, architecture: name} : {os, architecture: name, variant};
}
