// Random templates and documents from a seed: what people write, what nobody should, and broken forms of both.

const FUNCTIONS = {
  // name: what its arguments tend to be
  and: ['any', 'any', 'any?'],
  or: ['any', 'any', 'any?'],
  not: ['any'],
  len: ['list'],
  index: ['list', 'key', 'key?'],
  slice: ['list', 'int?', 'int?', 'int?'],
  call: ['any', 'any?'],
  print: ['any', 'any?', 'any?'],
  println: ['any?', 'any?'],
  html: ['any', 'any?'],
  js: ['any', 'any?'],
  urlquery: ['any', 'any?'],
  eq: ['any', 'any', 'any?'],
  ne: ['any', 'any'],
  lt: ['any', 'any'],
  le: ['any', 'any'],
  gt: ['any', 'any'],
  ge: ['any', 'any'],
  json: ['any'],
  split: ['string', 'string'],
  join: ['list', 'string'],
  title: ['string'],
  lower: ['string'],
  upper: ['string'],
  pad: ['string', 'int', 'int'],
  truncate: ['string', 'int'],
};
const KEYS = ['A', 'B', 'C', 'Name', 'S', 'N', 'F', 'L', 'M', 'nil_', 'b', 'Ü', 'x1'];
const STRINGS = [
  '',
  'a',
  'hello World',
  'Zoë Ünï',
  '日本語',
  'a,b,c',
  '<a href="x">&\'',
  'x\ty\n',
  '😀',
  '1.0',
  '42',
  'true',
  '/web',
  'a\\b',
  ' pad ',
  '\u0000\u0007',
  '\u2028',
  'ﬁ ǆ ß',
  '\u00ad\u200b\ufeff',
  'e\u0301',
];
const NUMBERS = [
  '0',
  '1',
  '-1',
  '2',
  '7',
  '42',
  '1.0',
  '1.50',
  '-0',
  '-0.0',
  '1e3',
  '1E+2',
  '1e-7',
  '1e21',
  '123456789012345678901234567890',
  '9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '0.1',
  '2.5',
  '100000',
  '1000000',
  '21000000',
  '1e100',
  '5e-324',
  '1.7976931348623157e308',
  '3.14159265358979',
  '0.000001',
  '65',
  '128512',
];
const LITERALS = [
  '0',
  '1',
  '2',
  '-1',
  '+3',
  '10',
  '0x1F',
  '0X_f',
  '0b101',
  '0o17',
  '017',
  '089',
  '1_000',
  '1__0',
  '_1',
  '1.5',
  '-2.50',
  '.5',
  '5.',
  '1e3',
  '1e-3',
  '1E400',
  '0x1p4',
  '0x.8p1',
  '0x1.8',
  '1i',
  '1+2i',
  '1.5-2i',
  '0i',
  '3+0i',
  "'a'",
  "'\\n'",
  "'日'",
  "'\\x41'",
  "'\\''",
  "'ab'",
  "''",
  "'\\u00e9'",
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
  '18446744073709551616',
  '1e19',
  '0x7fffffffffffffff',
  '0xffffffffffffffff',
  'true',
  'false',
  'nil',
  '1.0',
  '1e0',
  '00',
  '0x',
  '1.2.3',
  '0xg',
  '1a',
];
const ODD = [
  '{{',
  '}}',
  '{{-',
  '-}}',
  '"',
  '`',
  "'",
  '(',
  ')',
  '|',
  '.',
  '$',
  ',',
  ':=',
  '=',
  ' ',
  '\n',
  '\\',
  '/*',
  '*/',
  '-',
  '+',
  '@',
  '#',
  'é',
  '\u0000',
  '{',
  '}',
  '!',
  '[',
  ']',
  '%',
  '&',
  '.5',
  '_',
  ';',
];

/** @param {number} seed */
export function generator(seed) {
  let state = seed >>> 0 || 1;
  const next = () => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = n => Math.floor(next() * n);
  const chance = p => next() < p;
  const pick = list => list[below(list.length)];
  const some = (least, most, make) => Array.from({length: least + below(most - least + 1)}, make);

  // Documents, as JSON text: number literals count.
  const jsonString = () => JSON.stringify(chance(0.9) ? pick(STRINGS) : pick(STRINGS) + pick(STRINGS));
  function json(depth) {
    const kind = next();
    if (depth <= 0 || kind < 0.5) {
      return pick([
        jsonString,
        jsonString,
        () => pick(NUMBERS),
        () => pick(NUMBERS),
        () => pick(['true', 'false', 'null']),
      ])();
    }
    if (kind < 0.62) return `[${some(0, 3, jsonString).join(',')}]`;
    if (kind < 0.68) return `[${some(0, 4, () => pick(NUMBERS)).join(',')}]`;
    if (kind < 0.75) return `[${some(0, 3, () => json(depth - 1)).join(',')}]`;
    const keys = new Set(some(0, 5, () => (chance(0.85) ? pick(KEYS) : pick(STRINGS))));
    const value = chance(0.25) ? jsonString : () => json(depth - 1);
    return `{${[...keys].map(key => `${JSON.stringify(key)}:${value()}`).join(',')}}`;
  }
  const document = () =>
    chance(0.9)
      ? `{${KEYS.filter(() => chance(0.8))
          .map(key => `${JSON.stringify(key)}:${json(3)}`)
          .join(',')}}`
      : json(3);

  // Expressions.
  function stringLiteral() {
    const text = pick(STRINGS);
    if (chance(0.1))
      return pick([
        '"\\x41\\101\\u00e9\\U0001F600"',
        '"\\a\\b\\f\\n\\r\\t\\v\\\\\\""',
        '"\\\'"',
        '"\\xff"',
        '"\\8"',
        '"\\ud800"',
        '"\\400"',
        '`a\nb`',
        '``',
        '"\\x4"',
      ]);
    return chance(0.2) && !text.includes('`')
      ? `\`${text}\``
      : JSON.stringify(text).replaceAll('\u2028', '\\u2028');
  }
  const field = () =>
    some(
      1,
      chance(0.7) ? 1 : 3,
      () => `.${chance(0.93) ? pick(KEYS) : pick(['_', 'none', 'Length', '1', 'é', 'true'])}`,
    ).join('');
  const flags = () => some(0, chance(0.6) ? 1 : 4, () => pick(['-', '+', '#', ' ', '0'])).join('');
  function directive() {
    const index = () =>
      chance(0.06) ? pick(['[1]', '[2]', '[3]', '[0]', '[x]', '[', '[1', '[-1]', '[]', '[99]']) : '';
    const width = chance(0.4)
      ? index() + pick(['1', '2', '3', '5', '8', '10', '20', '*', '040', '1000001'])
      : '';
    const precision = chance(0.35)
      ? `.${index()}${pick(['', '0', '1', '2', '3', '5', '10', '*', '-1', '05'])}`
      : '';
    const verb = chance(0.96)
      ? pick('vvvvdsxXqqTtboOcUeEfFgGxp'.split(''))
      : pick(['w', '%', 'z', '!', 'é', 'i', 'n', '', ' ']);
    return `%${flags()}${width}${precision}${index()}${verb}`;
  }
  const format = () =>
    JSON.stringify(
      some(1, 3, () => (chance(0.8) ? directive() : pick(['|', ' ', 'a', '%%', 'é']))).join(
        chance(0.7) ? '|' : '',
      ),
    );
  function operand(kind, depth) {
    if (depth > 0 && chance(0.18)) return `(${pipeline(depth - 1)})${chance(0.15) ? field() : ''}`;
    const roll = next();
    if (roll < 0.35) return field();
    if (roll < 0.42) return pick(['.', '$', '$x', '$y', '$i', '$.A', '$x.B', '$.M.A']);
    if (roll < 0.44) return pick(Object.keys(FUNCTIONS));
    if (kind === 'int') return pick(['0', '1', '2', '3', '5', '-1', "'a'", '1.0', '"1"']);
    if (kind === 'string' || (kind !== 'list' && roll < 0.7)) return stringLiteral();
    if (kind === 'key') return pick(['0', '1', '2', '-1', '"A"', '"b"', '"Name"', 'nil', '1.0', '99', "'a'"]);
    return roll < 0.92 ? pick(LITERALS) : stringLiteral();
  }
  function call(depth, piped = false) {
    if (chance(0.3)) {
      return `printf ${chance(0.95) ? format() : operand('any', depth)}${some(piped ? 0 : 1, 3, () => ` ${operand('any', depth)}`).join('')}`;
    }
    const name = pick(Object.keys(FUNCTIONS));
    let kinds = FUNCTIONS[name].filter(kind => !kind.endsWith('?') || chance(0.35));
    if (piped) kinds = kinds.slice(0, -1);
    if (chance(0.04)) kinds = chance(0.5) ? [...kinds, 'any'] : kinds.slice(1);
    return [name, ...kinds.map(kind => operand(kind.replace('?', ''), depth))].join(' ');
  }
  function pipeline(depth) {
    const first = chance(0.5) ? call(depth) : operand('any', depth);
    const rest = chance(0.2)
      ? some(1, 2, () => (chance(0.9) ? call(depth, true) : operand('any', depth)))
      : [];
    return [first, ...rest].join(chance(0.8) ? ' | ' : '|');
  }

  // Statements.
  const open = () => (chance(0.1) ? '{{- ' : chance(0.1) ? '{{ ' : '{{');
  const close = () => (chance(0.1) ? ' -}}' : chance(0.1) ? ' }}' : '}}');
  const action = text => open() + text + close();
  const text = () =>
    pick(['', '', ' ', 'x', '\n', ' - ', 'é ', '\t\n ', '{', '}', '}}', 'a b', '{ {', '\\n']);
  const declaration = () => pick(['$x', '$y', '$i']) + pick([' := ', ' = ', ':=', ' := ']);
  function statement(depth) {
    const roll = next();
    if (depth <= 0 || roll < 0.5) return action(pipeline(2));
    if (roll < 0.58) return action(declaration() + pipeline(1));
    if (roll < 0.62)
      return `${chance(0.2) ? '{{- ' : '{{'}/* ${pick(['', 'a', '\n', '*', '{{.A}}'])} */${chance(0.2) ? ' -}}' : '}}'}`;
    if (roll < 0.72) {
      const middle = chance(0.3) ? action(`else if ${pipeline(1)}`) + block(depth - 1) : '';
      const last = chance(0.5) ? action('else') + block(depth - 1) : '';
      return (
        action(`if ${chance(0.1) ? declaration() : ''}${pipeline(1)}`) +
        block(depth - 1) +
        middle +
        last +
        action('end')
      );
    }
    if (roll < 0.8) {
      const last = chance(0.4) ? action('else') + block(depth - 1) : '';
      return (
        action(`with ${chance(0.3) ? declaration() : ''}${pipeline(1)}`) +
        block(depth - 1) +
        last +
        action('end')
      );
    }
    if (roll < 0.92) {
      const names = chance(0.5)
        ? pick(['$i := ', '$i, $x := ', '$x, $y := ', '$x = ', '$i, $x = ', '$x,$y,$i := ', '$i, := '])
        : '';
      const over = chance(0.6) ? field() : chance(0.2) ? pick(['.', '$']) : pipeline(1);
      const stop = chance(0.15) ? `{{if ${pipeline(0)}}}{{${pick(['break', 'continue'])}}}{{end}}` : '';
      const last = chance(0.3) ? action('else') + block(depth - 1) : '';
      return action(`range ${names}${over}`) + block(depth - 1) + stop + block(0) + last + action('end');
    }
    const name = pick(['"t"', '"u"', '`t`', '""', '"none"']);
    if (roll < 0.94) return action(`define ${name}`) + block(depth - 1) + action('end');
    if (roll < 0.97) return action(`template ${name}${chance(0.7) ? ` ${pipeline(1)}` : ''}`);
    return action(`block ${name} ${pipeline(1)}`) + block(depth - 1) + action('end');
  }
  function block(depth) {
    return some(depth > 0 ? 1 : 0, depth > 0 ? 2 : 1, () => text() + statement(depth)).join('') + text();
  }
  function template() {
    const prologue = chance(0.5) ? '{{$x := .A}}{{$y := .L}}{{$i := 1}}' : '';
    return prologue + block(below(4));
  }

  /** Deletes, doubles, inserts, replaces or swaps pieces of a template. */
  function mutate(source, other) {
    let out = source;
    for (let n = 1 + below(2); n > 0; n--) {
      const characters = [...out];
      const at = below(characters.length + 1);
      const count = 1 + below(chance(0.8) ? 2 : 8);
      const roll = next();
      if (roll < 0.35) characters.splice(at, count);
      else if (roll < 0.65) characters.splice(at, 0, pick(ODD));
      else if (roll < 0.75) characters.splice(at, count, pick(ODD));
      else if (roll < 0.85) characters.splice(at, 0, ...characters.slice(at, at + count));
      else {
        const pieces = [...other];
        const from = below(pieces.length);
        characters.splice(at, below(4), ...pieces.slice(from, from + 1 + below(12)));
      }
      out = characters.join('');
    }
    return out;
  }

  return {next, below, chance, pick, document, template, mutate, call, format, operand};
}
