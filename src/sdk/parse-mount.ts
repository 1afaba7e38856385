import {CoracleError} from '../errors.js';
import {parseSize} from './parse-size.js';
import type {Mount, Propagation} from './run-options.js';
import {splitCsv} from './split-csv.js';

/** The fields of one `--mount`, by the names that the docker client takes; several names may mean the same. */
interface Fields {
  type: string;
  source: string;
  target: string;
  readOnly: boolean;
  propagation?: string;
  nonRecursive?: boolean;
  nocopy?: boolean;
  tmpfsSize?: number;
  tmpfsMode?: number;
  /** `bind-`, `volume-`, `tmpfs-` fields that were used: they belong to one type each. */
  families: Set<string>;
}

/**
 * `--mount type=bind,source=/host,target=/data,readonly`: comma-separated values as in a CSV line.
 * @throws CoracleError `ERR_INVALID_OPTION`: with the docker client's words for a form that it would refuse; with
 * `details.daemon` set for what it would send on and dockerd refuse
 */
export function parseMount(text: string): Mount {
  if (text === '') refuse('EOF');
  const fields: Fields = {type: 'volume', source: '', target: '', readOnly: false, families: new Set()};
  for (const field of splitCsv(text)) readField(field, fields);
  if (fields.target === '') refuse('target is required');
  for (const family of ['volume', 'bind', 'tmpfs']) {
    if (fields.families.has(family) && fields.type !== family) {
      refuse(`cannot mix '${family}-*' options with mount type '${fields.type}'`);
    }
  }
  return toMount(fields);
}

function readField(field: string, fields: Fields): void {
  const equals = field.indexOf('=');
  const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  const value = equals < 0 ? undefined : field.slice(equals + 1);
  const [, family] = /^(bind|volume|tmpfs)-/.exec(key) ?? [];
  if (family !== undefined) fields.families.add(family);

  if (key === 'readonly' || key === 'ro') fields.readOnly = boolean(key, value);
  else if (key === 'volume-nocopy') fields.nocopy = boolean(key, value);
  else if (key === 'bind-nonrecursive') fields.nonRecursive = boolean(key, value);
  else if (value === undefined) refuse(`invalid field '${field}' must be a key=value pair`);
  else if (key === 'type') fields.type = value.toLowerCase();
  else if (key === 'source' || key === 'src') fields.source = value;
  else if (key === 'target' || key === 'dst' || key === 'destination') fields.target = value;
  else if (key === 'consistency')
    return; // of Docker Desktop, without effect on Linux
  else if (key === 'bind-propagation') fields.propagation = value.toLowerCase();
  else if (key === 'bind-recursive') fields.nonRecursive = recursion(value);
  else if (key === 'volume-driver' && value === 'local') return;
  else if (key === 'tmpfs-size') fields.tmpfsSize = size(key, value);
  else if (key === 'tmpfs-mode') fields.tmpfsMode = mode(key, value);
  else if (
    key === 'volume-driver' ||
    key === 'volume-opt' ||
    key === 'volume-label' ||
    key === 'volume-subpath'
  ) {
    throw new CoracleError('ERR_UNSUPPORTED_OPTION', `--mount ${key} is not supported by this release`, {
      hint: 'Create the volume first: coracle volume create --label KEY=VALUE NAME.',
    });
  } else refuse(`unexpected key '${key}' in '${field}'`);
}

function toMount({
  type,
  source,
  target,
  readOnly,
  propagation,
  nonRecursive,
  nocopy,
  tmpfsSize,
  tmpfsMode,
}: Fields): Mount {
  const common = {target, ...(readOnly && {readOnly})};
  switch (type) {
    case 'bind':
      if (source === '') refuseAsDaemon('bind', 'field Source must not be empty');
      return {
        type,
        source,
        ...common,
        ...(propagation && {propagation: propagation as Propagation}),
        ...(nonRecursive && {nonRecursive}),
      };
    case 'volume':
      return {type, ...(source && {name: source}), ...common, ...(nocopy && {nocopy})};
    case 'tmpfs':
      if (source !== '') refuseAsDaemon('tmpfs', 'field Source must not be specified');
      return {
        type,
        ...common,
        ...(tmpfsSize && {sizeBytes: tmpfsSize}),
        ...(tmpfsMode !== undefined && {mode: tmpfsMode}),
      };
    default:
      return refuseAsDaemon(type, 'mount type unknown');
  }
}

/** strconv.ParseBool; a key alone means true. */
function boolean(key: string, value: string | undefined): boolean {
  if (value === undefined || ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  return refuse(`invalid value for ${key}: ${value}`);
}

function recursion(value: string): boolean {
  if (value === 'enabled') return false;
  if (value === 'disabled') return true;
  return refuse(`invalid value for bind-recursive: ${value}: must be "enabled" or "disabled"`);
}

function size(key: string, value: string): number {
  try {
    return parseSize(value);
  } catch {
    return refuse(`invalid value for ${key}: ${value}`);
  }
}

function mode(key: string, value: string): number {
  return /^[0-7]{1,5}$/.test(value)
    ? Number.parseInt(value, 8)
    : refuse(`invalid value for ${key}: ${value}`);
}

function refuseAsDaemon(type: string, what: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', `invalid mount config for type "${type}": ${what}`, {
    details: {daemon: true},
  });
}

function refuse(message: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', message, {
    hint: 'type=bind|volume|tmpfs,source=…,target=/…[,readonly]',
  });
}
