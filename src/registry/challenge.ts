/**
 * `WWW-Authenticate`: how a registry wants to be asked. Read strictly: what follows decides where secrets are sent.
 * @see https://datatracker.ietf.org/doc/html/rfc9110#section-11.6.1
 */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const SCHEME = new RegExp(`^(${TOKEN})(?: +|$|(?=[ \\t]*,))`);
const PARAMETER = new RegExp(`^(${TOKEN})[ \\t]*=[ \\t]*(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)")[ \\t]*`);
const HEADER_LENGTH = 8192;

/** All of them, in their order; undefined when the header is not what the standard says. */
export function parseChallenges(header: string): readonly Challenge[] | undefined {
  if (header.length > HEADER_LENGTH || /[\u0000-\u0008\u000a-\u001f\u007f]/.test(header)) return undefined;
  const challenges: Challenge[] = [];
  let rest = header.trim();
  while (rest !== '') {
    const scheme = SCHEME.exec(rest);
    if (scheme === null) return undefined;
    rest = rest.slice(scheme[0].length);
    const parameters: Record<string, string> = Object.create(null);
    for (;;) {
      const parameter = PARAMETER.exec(rest);
      if (parameter === null) break;
      const [whole, name, token, quoted] = parameter;
      const key = name!.toLowerCase();
      if (key in parameters) return undefined;
      parameters[key] = token ?? quoted!.replaceAll(/\\(.)/g, '$1');
      rest = rest.slice(whole.length);
      if (rest === '') break;
      if (!rest.startsWith(',')) return undefined;
      rest = rest.replace(/^[, \t]+/, '');
    }
    challenges.push({scheme: scheme[1]!.toLowerCase(), parameters});
    rest = rest.replace(/^[, \t]+/, '');
  }
  return challenges;
}
