/** JSON as Go's encoder writes it: what HTML would trip over is escaped. */
export function goJson(value: unknown, indent?: string): string {
  return JSON.stringify(value, undefined, indent).replaceAll(
    /[<>&\u2028\u2029]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
