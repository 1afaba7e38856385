/** The known name that a misspelt one was probably meant to be; undefined when none is near. */
export function nearestName(misspelt: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  // A third of the letters may be wrong: `memorBytes` finds `memoryBytes`, `foo` finds nothing.
  let bestDistance = Math.floor(misspelt.length / 3) + 1;
  for (const name of known) {
    const distance = editDistance(fold(misspelt), fold(name));
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** `read-only`, `read_only` and `readOnly` are one name to a person. */
function fold(name: string): string {
  return name.replaceAll(/[-_]/g, '').toLowerCase();
}

/** Levenshtein's distance with one row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
