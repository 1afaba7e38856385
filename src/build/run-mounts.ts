/** `RUN --mount=type=…` as it is written. Pure. */
import {posix} from 'node:path';
import {CoracleError} from '../errors.js';
import {parseSize, splitCsv} from '../sdk/index.js';
import {unsupported} from './build-error.js';

export type RunMount =
  | {
      readonly type: 'bind';
      /** A stage or an image; undefined: the context. */
      readonly from: string | undefined;
      readonly source: string;
      readonly target: string;
      /** What is written is forgotten. */
      readonly readOnly: boolean;
    }
  | {
      readonly type: 'cache';
      readonly id: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly sharing: 'shared' | 'private' | 'locked';
      /** What it begins with. */
      readonly from: string | undefined;
      readonly source: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {readonly type: 'tmpfs'; readonly target: string; readonly sizeBytes: number | undefined}
  | {
      readonly type: 'secret';
      readonly id: string;
      /** Undefined: as a variable only. */
      readonly target: string | undefined;
      readonly env: string | undefined;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

export type MountOf<Type extends RunMount['type']> = Extract<RunMount, {type: Type}>;

/**
 * @param workdir that relative targets continue
 * @throws `ERR_INVALID_OPTION` with BuildKit's words, `ERR_UNSUPPORTED_OPTION` for `ssh`
 */
export function parseRunMount(text: string, workdir: string): RunMount {
  const fields = fieldsOf(text);
  const type = (fields.get('type') ?? 'bind').toLowerCase();
  const target = fields.get('target');
  const at = (path: string) => posix.resolve('/', workdir, path);
  const needed = () => {
    if (target === undefined || target === '')
      throw invalid(`invalid mount target ${JSON.stringify(target ?? '')}: it is required`);
    const whole = at(target);
    if (whole === '/') throw invalid('invalid mount target "/"');
    return whole;
  };
  const only = (...allowed: string[]) => refuseOthers(fields, type, [...allowed, 'type', 'target']);
  switch (type) {
    case 'bind':
      only('from', 'source', 'readonly');
      return {
        type,
        from: fields.get('from') || undefined,
        source: fields.get('source') ?? '',
        target: needed(),
        readOnly: fields.get('readonly') !== 'false',
      };
    case 'cache': {
      only('id', 'from', 'source', 'readonly', 'sharing', 'mode', 'uid', 'gid');
      const whole = needed();
      const sharing = (fields.get('sharing') ?? 'shared').toLowerCase();
      if (sharing !== 'shared' && sharing !== 'private' && sharing !== 'locked')
        throw invalid(`unsupported sharing value ${JSON.stringify(sharing)}`);
      return {
        type,
        id: fields.get('id') ?? whole,
        target: whole,
        readOnly: fields.get('readonly') === 'true',
        sharing,
        from: fields.get('from') || undefined,
        source: fields.get('source') ?? '',
        ...ownership(fields, 0o755),
      };
    }
    case 'tmpfs': {
      only('size', 'readonly');
      const size = fields.get('size');
      return {type, target: needed(), sizeBytes: size === undefined ? undefined : parseSize(size)};
    }
    case 'secret': {
      only('id', 'source', 'required', 'env', 'mode', 'uid', 'gid');
      const id = fields.get('id') ?? fields.get('source') ?? (target && posix.basename(target));
      if (!id) throw invalid('invalid secret mount. one of source, target required');
      const env = fields.has('env') ? fields.get('env') || id : undefined;
      const isFile = target !== undefined || env === undefined;
      return {
        type,
        id,
        target: isFile ? at(target || `/run/secrets/${posix.basename(id)}`) : undefined,
        env,
        required: fields.get('required') === 'true',
        ...ownership(fields, 0o400),
      };
    }
    case 'ssh':
      throw unsupported(
        'RUN --mount=type=ssh is not supported',
        'Give a key as a secret: RUN --mount=type=secret,id=key,target=/root/.ssh/id_ed25519.',
      );
    default:
      throw invalid(`unsupported mount type ${JSON.stringify(type)}`);
  }
}

const NAMES: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rw: 'readwrite',
};
const KNOWN = new Set(
  'type from source target readonly readwrite id sharing required size mode uid gid env'.split(' '),
);

function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const field of splitCsv(text)) {
    const equals = field.indexOf('=');
    const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const name = NAMES[written] ?? written;
    if (!KNOWN.has(name)) throw invalid(`unexpected key '${written}' in '${field}'`);
    const isSwitch = ['readonly', 'readwrite', 'required'].includes(name);
    if (equals < 0 && !isSwitch && name !== 'env')
      throw invalid(`invalid field '${field}' must be a key=value pair`);
    const value = equals < 0 ? (isSwitch ? 'true' : '') : field.slice(equals + 1);
    if (!isSwitch) fields.set(name, value);
    else if (name === 'readwrite') fields.set('readonly', String(!asBoolean(written, value)));
    else fields.set(name, String(asBoolean(written, value)));
  }
  return fields;
}

/** strconv.ParseBool */
function asBoolean(name: string, value: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw invalid(`invalid value for ${name}: ${value}`);
}

function refuseOthers(fields: ReadonlyMap<string, string>, type: string, allowed: readonly string[]): void {
  const other = [...fields.keys()].find(name => !allowed.includes(name));
  if (other !== undefined) throw invalid(`unexpected key '${other}' for mount type '${type}'`);
}

function ownership(fields: ReadonlyMap<string, string>, mode: number) {
  const number = (name: string, pattern: RegExp, base: number, otherwise: number) => {
    const text = fields.get(name);
    if (text === undefined) return otherwise;
    if (!pattern.test(text)) throw invalid(`invalid value ${text} for ${name}`);
    return Number.parseInt(text, base);
  };
  return {
    mode: number('mode', /^[0-7]{1,5}$/, 8, mode),
    uid: number('uid', /^\d{1,10}$/, 10, 0),
    gid: number('gid', /^\d{1,10}$/, 10, 0),
  };
}

function invalid(message: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message, {details: {option: 'mount'}});
}
