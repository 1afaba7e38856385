/** Values as Go writes them in JSON. Pure. */

/** A nil slice in Go is `null` in JSON: Docker's empty lists are a mixture of both, and tools test for it. */
export function orNull<Item>(list: readonly Item[]): readonly Item[] | null {
  return list.length > 0 ? list : null;
}

/** The same of a map. */
export function sortedOrNull<Value>(
  map: Readonly<Record<string, Value>> | null | undefined,
): Readonly<Record<string, Value>> | null {
  return map == null ? null : sortedRecord(Object.entries(map));
}

/** Go writes maps in the order of their keys, compared as bytes. */
export function sortedRecord<Value>(
  entries: readonly (readonly [string, Value])[],
): Readonly<Record<string, Value>> {
  return Object.fromEntries(entries.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
}
