/**
 * Tags by the version that they say, by the order of semver.org as far as it goes: registries are full of `v1.2`, `3.20`
 * and `1.2.3-alpine` too. What says no version comes before all that do, by name.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  if (left === undefined || right === undefined) {
    return Number(left !== undefined) - Number(right !== undefined) || byName(a, b);
  }
  const length = Math.max(left.numbers.length, right.numbers.length);
  for (let i = 0; i < length; i++) {
    const order = byValue(left.numbers[i] ?? 0n, right.numbers[i] ?? 0n);
    if (order !== 0) return order;
  }
  return comparePrereleases(left.prerelease, right.prerelease) || byName(a, b);
}

interface Version {
  readonly numbers: readonly bigint[];
  readonly prerelease: readonly string[];
}

function parse(tag: string): Version | undefined {
  const [, numbers, prerelease] = /^v?(\d+(?:\.\d+)*)(?:[-_.]?([A-Za-z].*)|-(.+))?$/.exec(tag) ?? [];
  if (numbers === undefined) return undefined;
  const rest = prerelease ?? tag.split('-').slice(1).join('-');
  return {
    numbers: numbers.split('.').map(BigInt),
    prerelease: rest === '' ? [] : rest.split(/[.-]/),
  };
}

/** With one it comes before the version itself; numbers in it by value, and before words. */
function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return Number(a.length === 0) - Number(b.length === 0);
  for (const [i, left] of a.entries()) {
    const right = b[i];
    if (right === undefined) return 1;
    const [leftIsNumber, rightIsNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    const order =
      leftIsNumber && rightIsNumber
        ? byValue(BigInt(left), BigInt(right))
        : Number(rightIsNumber) - Number(leftIsNumber) || byName(left, right);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function byValue(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
