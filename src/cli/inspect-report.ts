import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import Handlebars from 'handlebars';
import {humanSize} from './human-size.js';

/** `ts-inspect --template`: reports for people, by Handlebars. Nothing of an object's prototype can be reached. */

/** The reports that come with the package, in its folder `reports/`. */
const SHIPPED: Readonly<Record<string, string>> = {
  text: 'container.txt.hbs',
  html: 'container.html.hbs',
};

export interface ReportText {
  readonly source: string;
  /** Of the file: `.txt.hbs` and `.md.hbs` are not escaped for HTML. */
  readonly name: string;
}

/** @throws Error with the code `ERR_INSPECT_OUTPUT` */
export async function reportText(
  template: string,
  readText: (path: string) => Promise<string>,
): Promise<ReportText> {
  const shipped = Object.hasOwn(SHIPPED, template) ? SHIPPED[template] : undefined;
  const name = shipped === undefined ? template : shippedPath(shipped);
  try {
    return {source: await readText(name), name};
  } catch (cause) {
    throw badReport(name, cause as Error);
  }
}

/** From dist/ as from src/cli/. */
function shippedPath(name: string): string {
  const places = ['../reports/', '../../reports/'].map(up =>
    fileURLToPath(new URL(up + name, import.meta.url)),
  );
  return places.find(path => existsSync(path)) ?? places[0]!;
}

/** @throws Error with the code `ERR_INSPECT_OUTPUT`, also from what it returns */
export function compileReport({source, name}: ReportText): (documentText: string) => string {
  const handlebars = Handlebars.create();
  // It would write to the console.
  handlebars.unregisterHelper('log');
  for (const [helper, answer] of Object.entries(HELPERS)) handlebars.registerHelper(helper, answer);
  const render = handlebars.compile(source, {noEscape: /\.(?:txt|md)\.hbs$/.test(name)});
  const run = (data: unknown) => {
    try {
      return render(data, {allowProtoPropertiesByDefault: false, allowProtoMethodsByDefault: false});
    } catch (cause) {
      throw badReport(name, cause as Error);
    }
  };
  // Handlebars parses at the first use: an empty object finds what is wrong with the file itself.
  parse(handlebars, source, name);
  return text => run(JSON.parse(text));
}

function parse(handlebars: typeof Handlebars, source: string, name: string): void {
  try {
    handlebars.parse(source);
  } catch (cause) {
    throw badReport(name, cause as Error);
  }
}

const HELPERS: Readonly<Record<string, Handlebars.HelperDelegate>> = {
  json: (value: unknown) => JSON.stringify(value, null, 2),
  join: (list: unknown, separator: unknown) =>
    Array.isArray(list) ? list.join(typeof separator === 'string' ? separator : ', ') : '',
  bytes: (count: unknown) => (typeof count === 'number' ? humanSize(count) : ''),
  eq: (a: unknown, b: unknown) => a === b,
  /** Of an id: as many digits as lists show, without the algorithm. */
  short: (id: unknown) =>
    String(id ?? '')
      .replace(/^sha256:/, '')
      .slice(0, 12),
  /** Of a name: Docker's begin with a slash. */
  name: (text: unknown) => String(text ?? '').replace(/^\//, ''),
  /** A time; Go's zero time is none. */
  time: (text: unknown) => (typeof text === 'string' && !text.startsWith('0001-') ? text : '–'),
};

function badReport(name: string, cause: Error): Error {
  return Object.assign(new Error(`${name}: ${cause.message}`, {cause}), {code: 'ERR_INSPECT_OUTPUT'});
}
