/**
 * Reads JSON that strangers wrote: each look at a field checks its type and its size, and says which field was wrong.
 * Objects come from JSON.parse; only own properties are read.
 */
import {CoracleError} from '../errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The largest manifest or image configuration that is parsed: what registries accept. */
export const DOCUMENT_BYTES = 4 * 1024 * 1024;
const LIST_ITEMS = 10_000;
const STRING_LENGTH = 1024 * 1024;

/** @throws `ERR_INVALID_IMAGE` when it is too large, no JSON, or no object */
export function parseObject(document: string | Uint8Array, where: string): JsonObject {
  if (document.length > DOCUMENT_BYTES) throw bad(where, `is larger than ${DOCUMENT_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(typeof document === 'string' ? document : Buffer.from(document).toString('utf8'));
  } catch (cause) {
    throw bad(where, 'is not JSON', cause);
  }
  return object(value, where);
}

export function object(value: unknown, where: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw bad(where, 'is not an object');
}

export function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw bad(where, 'is not a list');
  if (value.length > LIST_ITEMS) throw bad(where, `has more than ${LIST_ITEMS} items`);
  return value;
}

/** No NUL: these strings become arguments, environment and paths. */
export function string(value: unknown, where: string): string {
  if (typeof value !== 'string') throw bad(where, 'is not a string');
  if (value.length > STRING_LENGTH) throw bad(where, `is longer than ${STRING_LENGTH} characters`);
  if (value.includes('\0')) throw bad(where, 'has a NUL byte');
  return value;
}

export function strings(value: unknown, where: string): readonly string[] {
  return list(value, where).map((item, index) => string(item, `${where}[${index}]`));
}

export function stringMap(value: unknown, where: string): Readonly<Record<string, string>> {
  const entries = Object.entries(object(value, where));
  if (entries.length > LIST_ITEMS) throw bad(where, `has more than ${LIST_ITEMS} items`);
  return Object.fromEntries(
    entries.map(([key, item]) => [string(key, `a key of ${where}`), string(item, `${where}.${key}`)]),
  );
}

/** A set as Go writes one: keys with empty objects. */
export function keySet(value: unknown, where: string): Readonly<Record<string, Record<string, never>>> {
  const keys = Object.keys(object(value, where));
  if (keys.length > LIST_ITEMS) throw bad(where, `has more than ${LIST_ITEMS} items`);
  return Object.fromEntries(keys.map(key => [string(key, `a key of ${where}`), {}]));
}

/** A whole number from 0 to 2^53 - 1. */
export function count(value: unknown, where: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw bad(where, 'is not a whole number');
}

export function boolean(value: unknown, where: string): boolean {
  if (typeof value === 'boolean') return value;
  throw bad(where, 'is neither true nor false');
}

/** Undefined for what is absent; JSON's null counts as absent, as in Go. */
export function optional<T>(
  value: unknown,
  read: (value: unknown, where: string) => T,
  where: string,
): T | undefined {
  return value === undefined || value === null ? undefined : read(value, where);
}

export function bad(where: string, what: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_INVALID_IMAGE', `${where} ${what}`, {cause});
}
