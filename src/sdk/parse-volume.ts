import {CoracleError} from '../errors.js';
import {cleanPath, PROPAGATIONS} from './check-mounts.js';
import type {Mount, Propagation} from './run-options.js';

/** Nothing to do without SELinux. */
const LABELS = ['z', 'Z'];
/** Of Docker Desktop, without effect on Linux. */
const CONSISTENCY = ['consistent', 'cached', 'delegated'];

/**
 * `-v` and an entry of the Engine API's `Binds`: `/data` (anonymous volume), `name:/data`, `/host:/data:ro,rslave`.
 * `source` has to be absolute for a directory of the host's: a relative one is the command line's to resolve.
 * @throws CoracleError `ERR_INVALID_OPTION` with dockerd's words
 */
export function parseVolume(spec: string): Mount {
  const parts = spec.split(':');
  if (parts.length > 3 || parts.includes('')) refuse(`invalid volume specification: '${spec}'`);
  if (parts.length === 1) return {type: 'volume', target: absolute(spec), writtenAs: spec};
  const [source, target, mode = ''] = parts as [string, string, string?];
  const words = mode === '' ? [] : mode.split(',');
  const propagation = words.filter((word): word is Propagation =>
    (PROPAGATIONS as readonly string[]).includes(word),
  );
  const known = ['ro', 'rw', 'nocopy', ...LABELS, ...CONSISTENCY, ...propagation];
  if (words.some(word => !known.includes(word)) || contradict(words, propagation))
    refuse(`invalid mode: ${mode}`);
  checkTarget(spec, source.startsWith('/') ? 'bind' : 'volume', target);
  const common = {target, readOnly: words.includes('ro'), writtenAs: spec};
  if (source.startsWith('/')) {
    if (words.includes('nocopy')) refuseSpec(spec, 'bind', 'field VolumeOptions must not be specified');
    const [wanted] = propagation;
    return {type: 'bind', source, createSource: true, ...(wanted && {propagation: wanted}), ...common};
  }
  if (propagation.length > 0) refuseSpec(spec, 'volume', 'field BindOptions must not be specified');
  return {type: 'volume', name: source, ...(words.includes('nocopy') && {nocopy: true}), ...common};
}

function contradict(words: readonly string[], propagation: readonly string[]): boolean {
  const repeated = new Set(words).size !== words.length;
  const several = [LABELS, CONSISTENCY, propagation, ['ro', 'rw']].some(
    family => words.filter(word => family.includes(word)).length > 1,
  );
  return repeated || several;
}

function checkTarget(spec: string, type: string, target: string): void {
  if (!target.startsWith('/'))
    refuseSpec(spec, type, `invalid mount path: '${target}' mount path must be absolute`);
  if (cleanPath(target) === '/') refuseSpec(spec, type, "invalid specification: destination can't be '/'");
}

function refuseSpec(spec: string, type: string, what: string): never {
  return refuse(`invalid volume specification: '${spec}': invalid mount config for type "${type}": ${what}`);
}

/** Docker takes `data` for `/data`. */
function absolute(target: string): string {
  return target.startsWith('/') ? target : `/${target}`;
}

function refuse(message: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', message, {
    hint: '[NAME|/HOST/PATH:]/TARGET[:ro|rw|nocopy|rslave,…]',
  });
}
