import {CoracleError} from '../errors.js';
import {parseSize} from './parse-size.js';
import type {TmpfsMount} from './run-options.js';

const ON_OFF = {
  ro: {readOnly: true},
  rw: {readOnly: false},
  exec: {exec: true},
  noexec: {exec: false},
  suid: {suid: true},
  nosuid: {suid: false},
  dev: {dev: true},
  nodev: {dev: false},
} as const satisfies Record<string, Partial<TmpfsMount>>;

/**
 * `--tmpfs` and the Engine API's `Tmpfs`: `/run`, `/run:rw,noexec,size=64m,mode=1777,uid=1000`.
 * @throws CoracleError `ERR_INVALID_OPTION` with dockerd's words
 */
export function parseTmpfs(spec: string): TmpfsMount {
  const colon = spec.indexOf(':');
  const target = colon < 0 ? spec : spec.slice(0, colon);
  const options = colon < 0 ? '' : spec.slice(colon + 1);
  if (!target.startsWith('/')) refuse(`invalid mount path: '${target}' mount path must be absolute`);
  let mount: TmpfsMount = {type: 'tmpfs', target, writtenAs: options};
  for (const option of options === '' ? [] : options.split(',')) mount = {...mount, ...readOption(option)};
  return mount;
}

function readOption(option: string): Partial<TmpfsMount> {
  if (Object.hasOwn(ON_OFF, option)) return ON_OFF[option as keyof typeof ON_OFF];
  const [, key, value = ''] = /^(size|mode|uid|gid|nr_inodes)=(.+)$/.exec(option) ?? [];
  if (key === 'mode' && /^[0-7]{1,5}$/.test(value)) return {mode: Number.parseInt(value, 8)};
  if (key === 'size') return {sizeBytes: parseSize(value)};
  if (key === 'nr_inodes') return {inodes: parseSize(value)};
  if ((key === 'uid' || key === 'gid') && /^\d+$/.test(value)) return {[key]: Number(value)};
  return refuse(`invalid tmpfs option [${JSON.stringify(option)}]`);
}

function refuse(message: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', message, {
    hint: '/TARGET[:size=64m,mode=1777,uid=0,gid=0,exec,ro]',
  });
}
