import {guessKind, JsonSyntaxError, type ObjectKind, parseJson, splitJsonArray} from '../inspect/index.js';
import {type Arguments, KINDS} from './inspect-arguments.js';
import type {InspectIo} from './inspect-io.js';

export interface Found {
  readonly kind: ObjectKind | undefined;
  /** What it was asked for by; empty for all of a file. */
  readonly name: string;
  /** The engine's JSON. */
  readonly text: string;
}

/** The objects that the command line names, and an Error in place of each that cannot be had. */
export async function* objects(args: Arguments, io: InspectIo): AsyncGenerator<Found | Error> {
  if (args.input !== undefined) yield* savedObjects(args, args.input, io);
  else for (const name of args.names) yield await lookUp(args, name, io);
}

async function lookUp({type, size}: Arguments, name: string, io: InspectIo): Promise<Found | Error> {
  for (const kind of type === undefined ? KINDS : [type]) {
    let text: string | undefined;
    try {
      text = await io.resolve(kind, name, {size});
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
    if (text === undefined) continue;
    if (size && kind !== 'container') io.stderr(`WARNING: --size ignored for ${kind}\n`);
    return {kind, name, text};
  }
  return new Error(type === undefined ? `Error: No such object: ${name}` : notFound(type, name));
}

function notFound(kind: ObjectKind, name: string): string {
  const said: Partial<Record<ObjectKind, string>> = {
    network: `network ${name} not found`,
    volume: `get ${name}: no such volume`,
  };
  return `Error response from daemon: ${said[kind] ?? `No such ${kind}: ${name}`}`;
}

/** Objects of a saved document: all of them, or those with the given names or ids. */
async function* savedObjects(args: Arguments, path: string, io: InspectIo): AsyncGenerator<Found | Error> {
  let saved: SavedObject[];
  try {
    saved = readSaved(await io.readInput(path));
  } catch (error) {
    const why =
      error instanceof JsonSyntaxError
        ? `${path}: not a JSON document: ${error.message}`
        : String((error as Error).message);
    yield new Error(why);
    return;
  }
  const wanted = saved.filter(({kind}) => args.type === undefined || kind === args.type);
  if (args.names.length === 0) {
    yield* wanted;
    return;
  }
  for (const name of args.names) {
    const found = wanted.find(object => isCalled(object, name));
    yield found
      ? {...found, name}
      : new Error(args.type === undefined ? `Error: No such object: ${name}` : notFound(args.type, name));
  }
}

interface SavedObject extends Found {
  readonly id: string;
  readonly names: readonly string[];
}

/** @throws JsonSyntaxError */
function readSaved(text: string): SavedObject[] {
  const saved = parsed(text);
  const objects: readonly unknown[] = Array.isArray(saved) ? saved : [saved];
  const texts = textsOf(text, objects.length);
  return objects.map((object, i) => {
    const facts = (typeof object === 'object' ? object : null) as Record<string, unknown> | null;
    const id = facts?.['Id'];
    const tags = facts?.['RepoTags'];
    const names = [facts?.['Name'], ...(Array.isArray(tags) ? tags : [])];
    return {
      kind: guessKind(object),
      name: '',
      text: texts[i]!,
      id: typeof id === 'string' ? id : '',
      names: names.filter(name => typeof name === 'string').map(name => name.replace(/^\//, '')),
    };
  });
}

/** @throws JsonSyntaxError where JavaScript's parser, which is the faster one, finds anything wrong */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return parseJson(text);
  }
}

/** The texts of a document's objects. That of the only one of an array is what lies between the brackets. */
function textsOf(text: string, count: number): readonly string[] {
  const only = /^\s*\[(.*)\]\s*$/s.exec(text)?.[1];
  return count === 1 && only !== undefined ? [only.trim()] : splitJsonArray(text);
}

function isCalled({id, names}: SavedObject, name: string): boolean {
  if (names.includes(name) || names.includes(`${name}:latest`)) return true;
  return name !== '' && (id.startsWith(name) || id.startsWith(`sha256:${name}`));
}
