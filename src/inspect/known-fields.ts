import {type Compat, DEFAULT_COMPAT} from './compat.js';
import {dockerType, type ObjectKind} from './docker-schema.js';
import {findField, type Type} from './types.js';

/** What Docker's types have under a name, for explanations and completion: Go's field names, JSON's keys, methods. */

/** Undefined: nothing is known, so nothing can be wrong. */
export type Known = Type | undefined;

export const rootOf = (kind: ObjectKind, compat: Compat = DEFAULT_COMPAT): Type => dockerType(kind, compat);

const behindPointers = (type: Type): Type => (type.kind === 'pointer' ? behindPointers(type.elem!) : type);

/** The type of `.name`; `missing` when there is none, in neither of an inspection's two attempts. */
export function fieldType(holder: Known, name: string): Known | 'missing' {
  if (holder === undefined) return undefined;
  const type = behindPointers(holder);
  if (has(type.methods, name) || has(type.pointerMethods, name)) return undefined;
  switch (type.kind) {
    case 'struct':
      return findField(type, name)?.type ?? keys(type).get(name) ?? 'missing';
    case 'map':
      return type.elem;
    case 'interface':
      return undefined;
    default:
      return 'missing';
  }
}

export function elementType(container: Known): Known {
  return container === undefined ? undefined : behindPointers(container).elem;
}

/** The names that may follow the dot; those of JSON after those of Go where they differ. */
export function namesIn(holder: Type): string[] {
  const type = behindPointers(holder);
  const methods = [type.methods, type.pointerMethods].flatMap(table => Object.keys(table ?? {}));
  return [...new Set([...goNames(type), ...keys(type).keys(), ...methods])];
}

function goNames(struct: Type): string[] {
  return (struct.fields ?? []).flatMap(({name, embedded, type, unexported}) =>
    unexported ? [] : embedded ? goNames(behindPointers(type)) : [name],
  );
}

/** Fields by JSON key, those of embedded structs included. */
function keys(struct: Type): ReadonlyMap<string, Type> {
  const found = new Map<string, Type>();
  for (const {json, type, embedded} of struct.fields ?? []) {
    if (!embedded) found.set(json, type);
    else for (const [key, inner] of keys(behindPointers(type))) found.set(key, inner);
  }
  found.delete('-');
  return found;
}

const has = (table: Readonly<Record<string, unknown>> | undefined, name: string): boolean =>
  table !== undefined && Object.hasOwn(table, name);

/** The names nearest to one that is not there, and the paths at which that very name is, the best first; at most five. */
export function nearestNames(root: Type, path: string, holder: Type, name: string): string[] {
  const near = namesIn(holder)
    .map(candidate => ({candidate, distance: editDistance(candidate.toLowerCase(), name.toLowerCase())}))
    .filter(({distance}) => distance <= Math.max(1, Math.floor(name.length / 3)))
    .sort((a, b) => a.distance - b.distance)
    .map(({candidate}) => `${path}.${candidate}`);
  return [...new Set([...near, ...pathsTo(root, name)])].slice(0, 5);
}

const MAX_DEPTH = 4;

function pathsTo(root: Type, name: string): string[] {
  const wanted = name.toLowerCase();
  const found: string[] = [];
  const visit = (type: Type, path: string, depth: number): void => {
    if (depth > MAX_DEPTH) return;
    for (const candidate of goNames(type)) {
      if (candidate.toLowerCase() === wanted) found.push(`${path}.${candidate}`);
      const inner = findField(type, candidate);
      if (inner !== undefined) visit(behindPointers(inner.type), `${path}.${candidate}`, depth + 1);
    }
  };
  visit(behindPointers(root), '', 1);
  return found.sort((a, b) => a.split('.').length - b.split('.').length);
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({length: b.length + 1}, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, rows[i - 1]![j]! + 1, row[j - 1]! + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/**
 * What may come next in a template that somebody is typing: `.State.St` gives `.State.StartedAt`, `.State.Status`.
 * @param path from a dot on; the part after the last one is what candidates begin with
 */
export function completePath(kind: ObjectKind, path: string, compat?: Compat): string[] {
  const names = path.split('.').slice(1);
  const start = names.pop() ?? '';
  let type: Known = rootOf(kind, compat);
  for (const name of names) {
    const next = fieldType(type, name);
    if (next === 'missing' || next === undefined) return [];
    type = next;
  }
  const before = names.map(name => `.${name}`).join('');
  return namesIn(type)
    .filter(name => name.startsWith(start))
    .map(name => `${before}.${name}`)
    .sort();
}
