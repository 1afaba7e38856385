import {type Compat, DEFAULT_COMPAT, type Profile, profileOf} from './compat.js';
import {DOCKER_METHODS} from './docker-methods.js';
import {DOCKER_TYPES} from './docker-types.js';
import {SYSTEM_TYPES} from './system-types.js';
import {DURATION, TIME} from './time.js';
import {
  ANY,
  arrayOf,
  BOOL,
  defined,
  type Field,
  INT,
  INT64,
  mapOf,
  pointerTo,
  STRING,
  sliceOf,
  type Type,
  UINT,
  UINT8,
  UINT16,
  UINT32,
  UINT64,
} from './types.js';

/** The objects that can be inspected. */
export type ObjectKind = 'container' | 'image' | 'volume' | 'network';

const ROOTS: Readonly<Record<ObjectKind, string>> = {
  container: 'container.InspectResponse',
  image: 'image.InspectResponse',
  volume: 'volume.Volume',
  network: 'network.Inspect',
};

/** Docker's Go type of an object, in one release's version. Types are made when they are first asked for. */
export const dockerType = (kind: ObjectKind, compat: Compat): Type => dockerStruct(ROOTS[kind], compat);

/** Any of the described types, by the name that `%T` prints. */
export function dockerStruct(name: string, compat: Compat = DEFAULT_COMPAT): Type {
  let schema = schemas.get(compat);
  if (schema === undefined) {
    schema = new Schema(profileOf(compat));
    schemas.set(compat, schema);
  }
  return schema.named(name);
}

const schemas = new Map<Compat, Schema>();

const BASIC: ReadonlyMap<string, Type> = new Map([
  ['any', ANY],
  ['bool', BOOL],
  ['int', INT],
  ['int64', INT64],
  ['string', STRING],
  ['struct{}', {kind: 'struct', name: 'struct {}', named: false, fields: []} satisfies Type],
  ['time.Duration', DURATION],
  ['time.Time', TIME],
  ['uint', UINT],
  ['uint8', UINT8],
  ['uint16', UINT16],
  ['uint32', UINT32],
  ['uint64', UINT64],
]);

class Schema {
  readonly #profile: Profile;
  readonly #made = new Map<string, Type>();

  constructor(profile: Profile) {
    this.#profile = profile;
  }

  named(name: string): Type {
    const known = BASIC.get(name) ?? this.#made.get(name);
    if (known !== undefined) return known;
    const type = this.#declare(name);
    this.#made.set(name, type);
    return type;
  }

  /** `*T`, `[]T`, `[2]T`, `map[K]T` or a name. */
  #parse(text: string): Type {
    if (text.startsWith('*')) return pointerTo(this.#parse(text.slice(1)));
    const list = /^\[(\d*)\](.+)$/.exec(text);
    if (list !== null) {
      const elem = this.#parse(list[2]!);
      return list[1] === '' ? sliceOf(elem) : arrayOf(Number(list[1]), elem);
    }
    const map = /^map\[([^\]]+)\](.+)$/.exec(text);
    return map === null ? this.named(text) : mapOf(this.#parse(map[1]!), this.#parse(map[2]!));
  }

  #declare(name: string): Type {
    const described = [DOCKER_TYPES, SYSTEM_TYPES].find(types => types.includes(`\n${name} `));
    if (described === undefined) throw new Error(`no such Docker type: ${name}`);
    const rest = described.slice(described.indexOf(`\n${name} `) + name.length + 2);
    const methods = DOCKER_METHODS[name] ?? {};
    if (!rest.startsWith('{')) {
      return {...defined(name, this.#parse(rest.slice(0, rest.indexOf('\n')))), ...methods};
    }
    const lines = rest.slice(rest.indexOf('\n') + 1, rest.indexOf('\n}')).split('\n');
    const fields = lines.filter(line => line.startsWith('  ')).flatMap(line => this.#field(name, line));
    return {kind: 'struct', name, named: true, fields, ...methods};
  }

  #field(struct: string, line: string): Field[] {
    const [name = '', typeText, ...rest] = line.trim().split(' ');
    if (typeText === undefined) {
      return [{name: name.replace(/^.*\./, ''), type: this.#parse(name), json: '', embedded: true}];
    }
    const {absent, retyped} = this.#profile;
    const path = `${struct}.${name}`;
    if (absent.has(path)) return [];
    const json = rest.find(word => word.startsWith('"'))?.slice(1, -1) ?? name;
    return [
      {name, type: this.#parse(retyped[path] ?? typeText), json, omitEmpty: rest.includes('omitempty')},
    ];
  }
}
