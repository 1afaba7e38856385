import {type ByteString, decodedRune, decodeRune, encodeRune} from './byte-string.js';
import {FormatSpec} from './format-spec.js';
import type {Complex} from './number-literal.js';
import {isInteger, isSignedInteger, type Method, type Type, UINT8} from './types.js';
import {
  at,
  type Box,
  type Elements,
  elem,
  elementsOf,
  field,
  isValid,
  length,
  mapIndex,
  sortedKeys,
  type Value,
} from './value.js';

/**
 * Go's fmt: Sprint, Sprintln and Sprintf with every verb, flag and `%!` form.
 * An argument is a concrete value, or null for an untyped nil.
 * @see https://pkg.go.dev/fmt@go1.24
 */
export type Argument = Value | null;

/** Spaces between operands when neither is a string. */
export function sprint(args: readonly Argument[]): ByteString {
  const printer = new Printer();
  let previousIsString = false;
  args.forEach((arg, i) => {
    const isString = arg?.type.kind === 'string';
    if (i > 0 && !isString && !previousIsString) printer.out += ' ';
    printer.argument(arg, 'v');
    previousIsString = isString;
  });
  return printer.out;
}

export function sprintln(args: readonly Argument[]): ByteString {
  const printer = new Printer();
  args.forEach((arg, i) => {
    if (i > 0) printer.out += ' ';
    printer.argument(arg, 'v');
  });
  return `${printer.out}\n`;
}

export function sprintf(format: ByteString, args: readonly Argument[]): ByteString {
  const printer = new Printer();
  printer.format(format, args);
  return printer.out;
}

/** Widths and precisions beyond this are refused, as Go does. */
const MAX_NUMBER = 1_000_000;

/** Bytes that one call may produce; beyond it a RangeError, as beyond the longest string. */
const MAX_TEXT = 64 * 1024 * 1024;

class Printer {
  #out: ByteString = '';
  #spec = new FormatSpec();
  /** While printing the value of a `%!verb(type=value)` no methods are called. */
  #reportsBadVerb = false;

  get out(): ByteString {
    return this.#out;
  }

  set out(text: ByteString) {
    if (text.length > MAX_TEXT) throw new RangeError('text too long');
    this.#out = text;
  }

  format(format: ByteString, args: readonly Argument[]): void {
    let next = 0;
    let reordered = false;
    let i = 0;
    while (i < format.length) {
      const percent = format.indexOf('%', i);
      if (percent < 0) {
        this.out += format.slice(i);
        break;
      }
      this.out += format.slice(i, percent);
      i = percent + 1;
      const spec = new FormatSpec();
      this.#spec = spec;
      i = readFlags(format, i, spec);

      let goodIndex = true;
      let afterIndex = false;
      const readIndex = () => {
        afterIndex = false;
        if (format[i] !== '[') return;
        reordered = true;
        const {index, width} = parseIndex(format, i);
        i += width;
        // An index that is no number is no index: what follows is read as if it had not been there.
        afterIndex = index !== undefined;
        if (index !== undefined && index >= 0 && index < args.length) next = index;
        else goodIndex = false;
      };
      const readStar = (): number | undefined => {
        i++;
        afterIndex = false;
        return next < args.length ? intOf(args[next++]!) : undefined;
      };

      readIndex();
      if (format[i] === '*') {
        spec.width = readStar();
        if (spec.width === undefined) this.out += '%!(BADWIDTH)';
        else if (spec.width < 0) {
          spec.width = -spec.width;
          spec.minus = true;
        }
      } else {
        const number = parseNumber(format, i, format.length);
        spec.width = number.value;
        i = number.end;
        if (afterIndex && number.value !== undefined) goodIndex = false;
      }

      if (format[i] === '.' && i + 1 < format.length) {
        i++;
        if (afterIndex) goodIndex = false;
        readIndex();
        if (format[i] === '*') {
          const precision = readStar();
          spec.precision = precision !== undefined && precision >= 0 ? precision : undefined;
          if (spec.precision === undefined) this.out += '%!(BADPREC)';
        } else {
          const number = parseNumber(format, i, format.length);
          spec.precision = number.value ?? 0;
          i = number.end;
        }
      }
      if (!afterIndex) readIndex();

      if (i >= format.length) {
        this.out += '%!(NOVERB)';
        break;
      }
      i += decodeRune(format, i);
      const verb = encodeRune(decodedRune);
      if (verb === '%') this.out += '%';
      else if (!goodIndex) this.out += `%!${verb}(BADINDEX)`;
      else if (next >= args.length) this.out += `%!${verb}(MISSING)`;
      else {
        if (verb === 'v' || verb === 'w') spec.enterV();
        this.argument(args[next++]!, verb);
      }
    }
    if (!reordered && next < args.length) this.#extra(args.slice(next));
  }

  #extra(args: readonly Argument[]): void {
    this.#spec = new FormatSpec();
    this.out += '%!(EXTRA ';
    args.forEach((arg, i) => {
      if (i > 0) this.out += ', ';
      if (arg === null) this.out += '<nil>';
      else {
        this.out += `${arg.type.name}=`;
        this.argument(arg, 'v');
      }
    });
    this.out += ')';
  }

  /** One operand; methods like String apply at every depth. */
  argument(arg: Argument, verb: string): void {
    if (arg === null) {
      if (verb === 'T' || verb === 'v') this.out += this.#spec.pad('<nil>');
      else this.#badVerb(null, verb);
    } else if (verb === 'T') {
      this.out += this.#spec.string(arg.type.name);
    } else if (verb === 'p') {
      this.#pointer(arg, 'p');
    } else {
      this.#value(arg, verb, 0);
    }
  }

  #badVerb(value: Value | null, verb: string): void {
    this.#reportsBadVerb = true;
    this.out += `%!${verb}(`;
    if (value === null) this.out += '<nil>';
    else {
      this.out += `${value.type.name}=`;
      this.#value(value, 'v', 0);
    }
    this.out += ')';
    this.#reportsBadVerb = false;
  }

  #value(value: Value, verb: string, depth: number): void {
    if (this.#callsMethod(value, verb)) return;
    const {type} = value;
    switch (type.kind) {
      case 'invalid':
        if (depth === 0) this.out += '<invalid reflect.Value>';
        else if (verb === 'v') this.out += '<nil>';
        else this.#badVerb(null, verb);
        return;
      case 'bool':
        if (verb === 't' || verb === 'v') this.out += this.#spec.boolean(value.data as boolean);
        else this.#badVerb(value, verb);
        return;
      case 'float64':
        this.#float(value, verb);
        return;
      case 'complex128':
        this.#complex(value, verb);
        return;
      case 'string':
        this.#string(value, value.data as ByteString, verb);
        return;
      case 'map':
        this.#map(value, verb, depth);
        return;
      case 'struct':
        this.#struct(value, verb, depth);
        return;
      case 'interface': {
        const inside = elem(value);
        if (isValid(inside)) this.#value(inside, verb, depth + 1);
        else this.out += this.#spec.sharpV ? `${type.name}(nil)` : '<nil>';
        return;
      }
      case 'slice':
      case 'array':
        this.#list(value, verb, depth);
        return;
      case 'pointer': {
        const target = elem(value);
        if (depth === 0 && COMPOSITE.has(target.type.kind)) {
          this.out += '&';
          this.#value(target, verb, depth + 1);
        } else this.#pointer(value, verb);
        return;
      }
      default:
        this.#integer(value, verb);
    }
  }

  /** Error, String and, for %#v, GoString. */
  #callsMethod(value: Value, verb: string): boolean {
    if (this.#reportsBadVerb) return false;
    // %w wraps errors, which only fmt.Errorf does.
    if (verb === 'w') {
      this.#badVerb(value, verb);
      return true;
    }
    const {sharpV} = this.#spec;
    if (!sharpV && !'vsxXq'.includes(verb)) return false;
    const names = sharpV ? ['GoString'] : ['Error', 'String'];
    for (const name of names) {
      const method = printMethod(value.type, name);
      if (method === undefined) continue;
      if (value.type.kind === 'pointer' && value.data === null) {
        this.out += '<nil>';
        return true;
      }
      const receiver = value.type.kind === 'pointer' ? elem(value) : value;
      const text = method.call(receiver, []).data as ByteString;
      if (sharpV) this.out += this.#spec.string(text);
      else this.#string(value, text, verb);
      return true;
    }
    return false;
  }

  #string(value: Value, text: ByteString, verb: string): void {
    const spec = this.#spec;
    if (verb === 'v') this.out += spec.sharpV ? spec.quoted(text) : spec.string(text);
    else if (verb === 's') this.out += spec.string(text);
    else if (verb === 'x' || verb === 'X') this.out += spec.hexString(text, verb === 'X');
    else if (verb === 'q') this.out += spec.quoted(text);
    else this.#badVerb(value, verb);
  }

  #integer(value: Value, verb: string): void {
    const spec = this.#spec;
    const data = value.data as bigint;
    switch (verb) {
      case 'v':
        if (spec.sharpV && !isSignedInteger(value.type.kind)) this.out += this.#hex(data, true);
        else this.out += spec.integer(data, 10, verb);
        return;
      case 'd':
        this.out += spec.integer(data, 10, verb);
        return;
      case 'b':
        this.out += spec.integer(data, 2, verb);
        return;
      case 'o':
      case 'O':
        this.out += spec.integer(data, 8, verb);
        return;
      case 'x':
      case 'X':
        this.out += spec.integer(data, 16, verb);
        return;
      case 'c':
        this.out += spec.character(data);
        return;
      case 'q':
        this.out += spec.quotedCharacter(data);
        return;
      case 'U':
        this.out += spec.unicode(data);
        return;
      default:
        this.#badVerb(value, verb);
    }
  }

  #hex(data: bigint, prefix: boolean): ByteString {
    const {sharp} = this.#spec;
    this.#spec.sharp = prefix;
    const text = this.#spec.integer(data, 16, 'v');
    this.#spec.sharp = sharp;
    return text;
  }

  #float(value: Value, verb: string): void {
    const text = this.#floatText(value.data as number, verb);
    if (text === undefined) this.#badVerb(value, verb);
    else this.out += text;
  }

  #floatText(data: number, verb: string): ByteString | undefined {
    switch (verb) {
      case 'v':
        return this.#spec.float(data, 'g', -1);
      case 'b':
      case 'g':
      case 'G':
      case 'x':
      case 'X':
        return this.#spec.float(data, verb, -1);
      case 'f':
      case 'e':
      case 'E':
        return this.#spec.float(data, verb, 6);
      case 'F':
        return this.#spec.float(data, 'f', 6);
      default:
        return undefined;
    }
  }

  #complex(value: Value, verb: string): void {
    const {re, im} = value.data as Complex;
    const real = this.#floatText(re, verb);
    if (real === undefined) {
      this.#badVerb(value, verb);
      return;
    }
    const {plus} = this.#spec;
    this.#spec.plus = true;
    this.out += `(${real}${this.#floatText(im, verb)}i)`;
    this.#spec.plus = plus;
  }

  #map(value: Value, verb: string, depth: number): void {
    const {sharpV} = this.#spec;
    if (sharpV && value.data === null) {
      this.out += `${value.type.name}(nil)`;
      return;
    }
    this.out += sharpV ? `${value.type.name}{` : 'map[';
    sortedKeys(value).forEach((key, i) => {
      if (i > 0) this.out += sharpV ? ', ' : ' ';
      this.#value({type: value.type.key!, data: key}, verb, depth + 1);
      this.out += ':';
      this.#value(mapIndex(value, key), verb, depth + 1);
    });
    this.out += sharpV ? '}' : ']';
  }

  #struct(value: Value, verb: string, depth: number): void {
    const {sharpV, plusV} = this.#spec;
    this.out += sharpV ? `${value.type.name}{` : '{';
    value.type.fields!.forEach(({name, type}, i) => {
      if (i > 0) this.out += sharpV ? ', ' : ' ';
      if (plusV || sharpV) this.out += `${name}:`;
      const data = field(value, i);
      this.#value(type.kind === 'interface' && data.data !== null ? elem(data) : data, verb, depth + 1);
    });
    this.out += '}';
  }

  #list(value: Value, verb: string, depth: number): void {
    const {sharpV} = this.#spec;
    const isBytes = value.type.elem === UINT8;
    if (isBytes && 'sqxX'.includes(verb)) {
      this.#string(value, bytesOf(elementsOf(value)), verb);
      return;
    }
    if (sharpV && value.data === null) {
      this.out += `${value.type.name}(nil)`;
      return;
    }
    this.out += sharpV ? `${value.type.name}{` : '[';
    for (let i = 0; i < length(value); i++) {
      if (i > 0) this.out += sharpV ? ', ' : ' ';
      this.#value(at(value, i), verb, depth + 1);
    }
    this.out += sharpV ? '}' : ']';
  }

  #pointer(value: Value, verb: string): void {
    if (!REFERENCE.has(value.type.kind)) {
      this.#badVerb(value, verb);
      return;
    }
    const address = value.data === null ? 0n : addressOf(value.data as object);
    if (verb === 'v' && this.#spec.sharpV) {
      this.out += `(${value.type.name})(${address === 0n ? 'nil' : this.#hex(address, true)})`;
    } else if (verb === 'v') {
      this.out += address === 0n ? this.#spec.pad('<nil>') : this.#hex(address, !this.#spec.sharp);
    } else if (verb === 'p') {
      this.out += this.#hex(address, !this.#spec.sharp);
    } else if ('bodxX'.includes(verb)) {
      const base = verb === 'b' ? 2 : verb === 'o' ? 8 : verb === 'd' ? 10 : 16;
      this.out += this.#spec.integer(address, base, verb);
    } else {
      this.#badVerb(value, verb);
    }
  }
}

const COMPOSITE: ReadonlySet<string> = new Set(['array', 'slice', 'struct', 'map']);
const REFERENCE: ReadonlySet<string> = new Set(['pointer', 'map', 'slice']);

function printMethod(type: Type, name: string): Method | undefined {
  const owner = type.kind === 'pointer' ? type.elem! : type;
  if (owner.methods === undefined && owner.pointerMethods === undefined) return undefined;
  const method =
    own(owner.methods, name) ?? (type.kind === 'pointer' ? own(owner.pointerMethods, name) : undefined);
  return method?.params.length === 0 ? method : undefined;
}

const own = <T>(table: Readonly<Record<string, T>> | undefined, name: string): T | undefined =>
  table !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;

const bytesOf = (data: Elements): ByteString =>
  String.fromCharCode(...Array.from({length: data.length}, (_, i) => Number(data.at(i))));

/** Go prints where a thing lies in memory; ours are made up, but equal for equal things and look alike. */
const addresses = new WeakMap<object, bigint>();
let lastAddress = 0xc000010000n;
function addressOf(thing: Box | object): bigint {
  let address = addresses.get(thing);
  if (address === undefined) {
    lastAddress += 0x20n;
    address = lastAddress;
    addresses.set(thing, address);
  }
  return address;
}

function readFlags(format: ByteString, i: number, spec: FormatSpec): number {
  for (; ; i++) {
    switch (format[i]) {
      case '#':
        spec.sharp = true;
        break;
      case '0':
        spec.zero = true;
        break;
      case '+':
        spec.plus = true;
        break;
      case '-':
        spec.minus = true;
        break;
      case ' ':
        spec.space = true;
        break;
      default:
        return i;
    }
  }
}

const isDecimal = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9';

function parseNumber(text: ByteString, start: number, end: number): {value: number | undefined; end: number} {
  let value: number | undefined;
  let i = start;
  for (; i < end && isDecimal(text[i]); i++) {
    // Go gives up on the whole rest of the format here; so do we.
    if ((value ?? 0) > MAX_NUMBER) return {value: undefined, end};
    value = (value ?? 0) * 10 + Number(text[i]);
  }
  return {value, end: i};
}

/** `[3]` at i, 0-based; undefined if it is no number. Without a closing bracket only the opening one is skipped. */
function parseIndex(format: ByteString, i: number): {index: number | undefined; width: number} {
  const close = format.indexOf(']', i + 1);
  if (close < 0 || format.length - i < 3) return {index: undefined, width: 1};
  const number = parseNumber(format, i + 1, close);
  const width = close + 1 - i;
  return number.value === undefined || number.end !== close
    ? {index: undefined, width}
    : {index: number.value - 1, width};
}

/** The value of a `*` width or precision: any integer that is not too large. */
function intOf(arg: Argument): number | undefined {
  if (arg === null || !isInteger(arg.type.kind)) return undefined;
  const value = arg.data as bigint;
  return value > BigInt(MAX_NUMBER) || value < -BigInt(MAX_NUMBER) ? undefined : Number(value);
}
