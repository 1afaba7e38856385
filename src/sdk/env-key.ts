/** The name of a variable written as `KEY=value` or `KEY`. */
export function envKey(variable: string): string {
  const end = variable.indexOf('=');
  return end < 0 ? variable : variable.slice(0, end);
}
