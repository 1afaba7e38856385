import {type Compat, type Profile, profileOf} from './compat.js';
import {methodsOf} from './docker-methods.js';
import {DOCKER_TYPES} from './docker-types.js';
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
export const dockerType = (kind: ObjectKind, compat: Compat): Type => schemaOf(compat).type(ROOTS[kind]);

function schemaOf(compat: Compat): Schema {
  let schema = schemas.get(compat);
  if (schema === undefined) {
    schema = new Schema([DOCKER_TYPES], profileOf(compat));
    schemas.set(compat, schema);
  }
  return schema;
}

const schemas = new Map<Compat, Schema>();

const NAMED = [BOOL, DURATION, INT, INT64, STRING, TIME, UINT, UINT8, UINT16, UINT32, UINT64];
const BASIC: ReadonlyMap<string, Type> = new Map<string, Type>([
  ...NAMED.map(type => [type.name, type] as const),
  ['any', ANY],
  ['struct{}', {kind: 'struct', name: 'struct {}', named: false, fields: []}],
]);

/** Types by the names that `%T` prints. */
export class Schema {
  readonly #descriptions: readonly string[];
  readonly #profile: Profile;
  readonly #made = new Map<string, Type>();

  /** @param descriptions in the notation of docker-types.ts */
  constructor(descriptions: readonly string[], profile: Profile) {
    this.#descriptions = descriptions;
    this.#profile = profile;
  }

  /** `*T`, `[]T`, `[2]T`, `map[K]T` or a name. */
  type(text: string): Type {
    const known = BASIC.get(text) ?? this.#made.get(text);
    if (known !== undefined) return known;
    const type = this.#read(text);
    this.#made.set(text, type);
    return type;
  }

  #read(text: string): Type {
    if (text.startsWith('*')) return pointerTo(this.type(text.slice(1)));
    const list = text.startsWith('[') ? /^\[(\d*)\](.+)$/.exec(text) : null;
    if (list !== null) {
      const elem = this.type(list[2]!);
      return list[1] === '' ? sliceOf(elem) : arrayOf(Number(list[1]), elem);
    }
    const map = text.startsWith('map[') ? /^map\[([^\]]+)\](.+)$/.exec(text) : null;
    return map === null ? this.#declare(text) : mapOf(this.type(map[1]!), this.type(map[2]!));
  }

  #declare(name: string): Type {
    const described = this.#descriptions.find(types => types.includes(`\n${name} `));
    if (described === undefined) throw new Error(`no such Docker type: ${name}`);
    const rest = described.slice(described.indexOf(`\n${name} `) + name.length + 2);
    const methods = methodsOf(name);
    if (!rest.startsWith('{')) {
      return {...defined(name, this.type(rest.slice(0, rest.indexOf('\n')))), ...methods};
    }
    const body = rest.slice(rest.indexOf('\n') + 1, rest.indexOf('\n}'));
    return structOf(name, () => this.#fields(name, body), methods);
  }

  #fields(struct: string, body: string): Field[] {
    const {absent, retyped} = this.#profile;
    const fields: Field[] = [];
    for (const line of body.split('\n')) {
      if (!line.startsWith('  ')) continue;
      const [, , name = '', typeText, third = '', fourth] = line.split(' ');
      if (typeText === undefined) {
        fields.push(new TypedField(this, name, name.replace(/^.*\./, ''), '', false));
        continue;
      }
      const path = absent.size === 0 ? '' : `${struct}.${name}`;
      if (absent.has(path)) continue;
      const json = third.startsWith('"') ? third.slice(1, -1) : name;
      const omitEmpty = third === 'omitempty' || fourth === 'omitempty';
      fields.push(new TypedField(this, retyped[path] ?? typeText, name, json, omitEmpty));
    }
    return fields;
  }
}

/** A struct whose fields are read from the description when they are first asked for: most templates touch few. */
function structOf(name: string, describe: () => readonly Field[], methods: Partial<Type>): Type {
  let fields: readonly Field[] | undefined;
  return {
    kind: 'struct',
    name,
    named: true,
    get fields() {
      fields ??= describe();
      return fields;
    },
    ...methods,
  };
}

/** Likewise for its type. A class, since an object with a getter of its own takes ten times the memory. */
class TypedField implements Field {
  readonly #schema: Schema;
  readonly #typeText: string;
  readonly name: string;
  readonly json: string;
  readonly omitEmpty: boolean;
  readonly embedded: boolean;

  constructor(schema: Schema, typeText: string, name: string, json: string, omitEmpty: boolean) {
    this.#schema = schema;
    this.#typeText = typeText;
    this.name = name;
    this.json = json;
    this.omitEmpty = omitEmpty;
    this.embedded = json === '';
  }

  get type(): Type {
    return this.#schema.type(this.#typeText);
  }
}
