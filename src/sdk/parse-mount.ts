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
  recursion?: Recursion;
  nocopy?: boolean;
  subpath?: string;
  driver?: string;
  driverOptions: Record<string, string>;
  labels: Record<string, string>;
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
  const fields: Fields = {
    type: 'volume',
    source: '',
    target: '',
    readOnly: false,
    driverOptions: {},
    labels: {},
    families: new Set(),
  };
  for (const field of splitCsv(text)) readField(field, fields);
  if (fields.target === '') refuse('target is required');
  for (const family of ['volume', 'bind', 'tmpfs']) {
    if (fields.families.has(family) && fields.type !== family) {
      refuse(`cannot mix '${family}-*' options with mount type '${fields.type}'`);
    }
  }
  checkRecursion(fields);
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
  else if (key === 'bind-nonrecursive') fields.recursion = boolean(key, value) ? 'disabled' : 'enabled';
  else if (value === undefined) refuse(`invalid field '${field}' must be a key=value pair`);
  else if (key === 'type') fields.type = value.toLowerCase();
  else if (key === 'source' || key === 'src') fields.source = value;
  else if (key === 'target' || key === 'dst' || key === 'destination') fields.target = value;
  else if (key === 'consistency')
    return; // of Docker Desktop, without effect on Linux
  else if (key === 'bind-propagation') fields.propagation = value.toLowerCase();
  else if (key === 'bind-recursive') fields.recursion = recursion(value);
  else if (key === 'volume-driver') fields.driver = value;
  else if (key === 'volume-subpath') fields.subpath = value;
  else if (key === 'volume-opt') setPair(fields.driverOptions, value);
  else if (key === 'volume-label') setPair(fields.labels, value);
  else if (key === 'tmpfs-size') fields.tmpfsSize = size(key, value);
  else if (key === 'tmpfs-mode') fields.tmpfsMode = mode(key, value);
  else refuse(`unexpected key '${key}' in '${field}'`);
}

function setPair(pairs: Record<string, string>, text: string): void {
  const equals = text.indexOf('=');
  const [key, value] = equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
  Object.defineProperty(pairs, key, {value, enumerable: true, configurable: true, writable: true});
}

function checkRecursion({recursion, readOnly, propagation}: Fields): void {
  if (recursion !== 'readonly' && recursion !== 'writable') return;
  const need = (what: string) =>
    refuse(`option 'bind-recursive=${recursion}' requires '${what}' to be specified in conjunction`);
  if (!readOnly) need('readonly');
  if (recursion === 'readonly' && propagation !== 'rprivate') need('bind-propagation=rprivate');
}

function toMount({type, source, target, readOnly, ...fields}: Fields): Mount {
  const common = {target, ...(readOnly && {readOnly})};
  const {propagation, recursion, nocopy, subpath, driver, driverOptions, labels, tmpfsSize, tmpfsMode} =
    fields;
  switch (type) {
    case 'bind':
      if (source === '') refuseAsDaemon('bind', 'field Source must not be empty');
      return {
        type,
        source,
        ...common,
        ...(propagation && {propagation: propagation as Propagation}),
        ...(recursion === 'disabled' && {nonRecursive: true}),
        ...(recursion === 'writable' && {writableBelow: true}),
      };
    case 'volume':
      return {
        type,
        ...(source && {name: source}),
        ...common,
        ...(nocopy && {nocopy}),
        ...(subpath && {subpath}),
        ...(driver && {driver}),
        ...(Object.keys(driverOptions).length > 0 && {driverOptions}),
        ...(Object.keys(labels).length > 0 && {labels}),
      };
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

type Recursion = 'enabled' | 'disabled' | 'writable' | 'readonly';

function recursion(value: string): Recursion {
  if (['enabled', 'disabled', 'writable', 'readonly'].includes(value)) return value as Recursion;
  return refuse(
    `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
  );
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
