import {CoracleError} from '../errors.js';

export interface VolumesFrom {
  /** Id, its beginning, or name of the container. */
  readonly container: string;
  readonly readOnly: boolean;
}

/**
 * `--volumes-from` and an entry of the Engine API's `VolumesFrom`: `web`, `web:ro`.
 * @throws CoracleError `ERR_INVALID_OPTION` with dockerd's words
 */
export function parseVolumesFrom(text: string): VolumesFrom {
  if (text === '') refuse('volumes-from specification cannot be an empty string');
  const [container = '', mode] = text.split(/:(.*)/s);
  if (container === '') refuse('invalid name or ID supplied: ""');
  if (mode === undefined) return {container, readOnly: false};
  const words = mode.split(',');
  const access = words.filter(word => ACCESS.includes(word));
  const labels = words.filter(word => LABELS.includes(word));
  const isKnown = access.length + labels.length === words.length && access.length < 2 && labels.length < 2;
  if (!isKnown) refuse(`invalid mode: ${mode}`);
  return {container, readOnly: access.includes('ro')};
}

const ACCESS = ['ro', 'rw'];
const LABELS = ['z', 'Z'];

function refuse(message: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', message, {
    hint: 'NAME[:ro|rw]',
    details: {option: 'volumesFrom'},
  });
}
