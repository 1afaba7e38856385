/** Numbers in texts by their value: n9 comes before n10. For sorting, as docker/cli does: sortorder.NaturalLess. */
export function compareNaturally(a: string, b: string): number {
  const [as, bs] = [partsOf(a), partsOf(b)];
  for (const [i, left] of as.entries()) {
    const right = bs[i];
    if (right === undefined) return 1;
    const isNumeric = /^\d/.test(left) && /^\d/.test(right);
    const order = isNumeric ? Number(left) - Number(right) || left.length - right.length : 0;
    if (order !== 0) return order;
    if (left !== right) return left < right ? -1 : 1;
  }
  return as.length - bs.length;
}

function partsOf(text: string): readonly string[] {
  return text.match(/\d+|\D/gs) ?? [];
}
