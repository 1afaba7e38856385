/** JSON as Go's encoder writes it: what HTML would trip over is escaped. */
export function goJson(value: unknown, indent?: string): string {
  return escaped(JSON.stringify(value, undefined, indent), /[<>&\u2028\u2029]/g);
}

/** As dockerd answers, and `docker inspect` hands on: without regard to HTML. */
export function rawJson(value: unknown, indent?: string): string {
  return escaped(JSON.stringify(value, undefined, indent), /[\u2028\u2029]/g);
}

function escaped(json: string, what: RegExp): string {
  return json.replaceAll(what, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
