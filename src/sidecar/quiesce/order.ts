/** In which order containers are held still: who depends on others before them. Pure. */

export interface User {
  readonly id: string;
  /** RFC 3339, UTC, with any number of digits of the second's fraction. */
  readonly startedAt: string;
  /** Its label `coracle.backup.order`, if it has one: smaller is earlier. */
  readonly order: number;
  /** Ids of those that it is linked to, or whose namespaces it shares. */
  readonly dependsOn: readonly string[];
}

/** By label, then dependents first, then what was started last first. They are let go in the reverse order. */
export function quiesceOrder<U extends User>(users: readonly U[]): U[] {
  const left = [...users].sort((a, b) => a.order - b.order || byStart(b, a));
  const sorted: U[] = [];
  while (left.length > 0) {
    const isNeeded = ({id, order}: U) =>
      left.some(other => other.id !== id && other.order === order && other.dependsOn.includes(id));
    const next = left.findIndex(user => user.order === left[0]!.order && !isNeeded(user));
    sorted.push(...left.splice(Math.max(next, 0), 1)); // in a circle, whoever comes first
  }
  return sorted;
}

/** Without their "Z", fractions of different lengths compare as text. */
function byStart(a: User, b: User): number {
  const [first, second] = [a, b].map(({startedAt}) => startedAt.replace(/Z$/, '')) as [string, string];
  return first < second ? -1 : Number(first > second);
}
