import type {ByteString} from './byte-string.js';
import {type Compat, DEFAULT_COMPAT} from './compat.js';
import {dockerType, type ObjectKind} from './docker-schema.js';
import type {MissingKey} from './evaluate.js';
import {readJson} from './json-read.js';
import {compileForValues, type TemplateOptions} from './template.js';
import {TemplateError} from './template-error.js';
import {fieldsByKey, typedView} from './typed-view.js';
import type {Type} from './types.js';
import {type Elements, type Entries, elements, NOTHING, type Value} from './value.js';

export interface InspectOptions extends Pick<TemplateOptions, 'delims' | 'limits'> {
  /** Whose fields exist. @default '28' */
  readonly compat?: Compat;
  /**
   * False: there is no second attempt. `docker volume inspect` makes none, `docker inspect --type volume` does.
   * @default true
   */
  readonly fallback?: boolean;
  /**
   * The objects are those of one command line: once one of them needed the second attempt, a missing key is an error in
   * the first attempt at those after it as well, as Docker's client has it. @default false
   */
  readonly oneCommand?: boolean;
}

/**
 * A `--format` template, compiled for objects of any kind.
 * @param kind undefined: an object of no known kind, which only has its raw JSON
 * @param jsonText the engine's answer for the object
 * @throws TemplateError of kind 'exec' with the second attempt's message, 'data' for JSON that is none, or 'limit'
 */
export type InspectTemplate = (kind: ObjectKind | undefined, jsonText: string) => string;

/**
 * `docker inspect --format`: the template runs on Docker's own Go struct for the object (Go field names, methods,
 * pointers); if that fails for whatever reason it starts over on the raw JSON, where numbers keep their literal and a
 * missing key is an error.
 * @throws TemplateError of kind 'parse'
 * @example compileInspect('{{.HostConfig.NetworkMode.IsHost}}')('container', text)
 */
export function compileInspect(template: string, options: InspectOptions = {}): InspectTemplate {
  const render = compileForValues(template, options);
  const compat = options.compat ?? DEFAULT_COMPAT;
  const {fallback = true, oneCommand = false} = options;
  let missingKey: MissingKey = 'default';
  return (kind, jsonText) => {
    const document = parseDocument(jsonText);
    if (kind === undefined) return render(document ?? NOTHING, 'error');
    const type = dockerType(kind, compat);
    const view = viewAs(type, document);
    try {
      return render(view, missingKey);
    } catch (error) {
      if (!(error instanceof TemplateError) || error.kind === 'limit' || !fallback) throw error;
    }
    if (oneCommand) missingKey = 'error';
    const raw = document === null ? null : withoutAbsent(dockerType(kind, DEFAULT_COMPAT), type, document);
    return render(raw ?? NOTHING, 'error');
  };
}

/**
 * One object, one template; {@link compileInspect} for many objects.
 * @param object what `docker inspect` or `container.inspect()` gave: one object, as JSON text (which keeps the literals of
 * numbers) or parsed
 * @throws TemplateError of any kind
 * @example inspectFormat('{{.NetworkSettings.IPAddress}}', await container.inspect())
 */
export function inspectFormat(
  template: string,
  object: unknown,
  {
    type,
    ...options
  }: InspectOptions & {
    /** Which of Docker's types it has. @default what its keys say; without any, only the raw JSON is tried */
    readonly type?: ObjectKind | undefined;
  } = {},
): string {
  const text = typeof object === 'string' ? object : JSON.stringify(object);
  const render = compileInspect(template, options);
  return render(type ?? guessKind(typeof object === 'string' ? parsed(text) : object), text);
}

/**
 * By the keys that each kind has and no other; undefined for something else.
 * @param object as JSON.parse gives it
 */
export function guessKind(object: unknown): ObjectKind | undefined {
  const has = (key: string) => typeof object === 'object' && object !== null && Object.hasOwn(object, key);
  if (has('HostConfig') && has('State')) return 'container';
  if (has('RootFS') || has('RepoTags')) return 'image';
  if (has('IPAM')) return 'network';
  return has('Mountpoint') ? 'volume' : undefined;
}

function parsed(jsonText: string): unknown {
  try {
    return JSON.parse(jsonText);
  } catch {
    return undefined; // whoever reads it says where it is broken
  }
}

function parseDocument(jsonText: string): Value | null {
  try {
    return readJson(jsonText, 'number');
  } catch (error) {
    throw new TemplateError('data', (error as Error).message, {cause: error});
  }
}

function viewAs(type: Type, document: Value | null): Value {
  try {
    return typedView(type, document);
  } catch (error) {
    throw new TemplateError('data', (error as Error).message, {cause: error});
  }
}

/** The document without the fields that the profile's type lacks but the full type has. */
function withoutAbsent(full: Type, known: Type, document: Value): Value {
  if (full === known) return document;
  const shape = (type: Type): Type => (type.kind === 'pointer' ? type.elem! : type);
  const [wide, narrow] = [shape(full), shape(known)];
  if (wide.kind === 'slice' && document.type.kind === 'slice') {
    const items = document.data as Elements;
    const prune = (item: unknown) =>
      item === null ? null : withoutAbsent(wide.elem!, narrow.elem!, item as Value);
    const kept = Array.from({length: items.length}, (_, i) => prune(items.at(i)));
    return {type: document.type, data: elements(kept, items.capacity)};
  }
  if (document.type.kind !== 'map') return document;
  const source = document.data as Entries;
  const entries = new Map<ByteString, Value | null>();
  const wideFields = fieldsByKey(wide);
  const narrowFields = fieldsByKey(narrow);
  for (const key of source.keys()) {
    const value = source.get(key) as Value | null;
    const wideType = wide.kind === 'map' ? wide.elem : wideFields.get(key)?.type;
    const narrowType = narrow.kind === 'map' ? narrow.elem : narrowFields.get(key)?.type;
    if (wideType !== undefined && narrowType === undefined) continue;
    const both = wideType !== undefined && narrowType !== undefined && value !== null;
    entries.set(key, both ? withoutAbsent(wideType, narrowType, value) : value);
  }
  return {type: document.type, data: entries};
}
