import type {ByteString} from './byte-string.js';
import {toBytes} from './byte-string.js';
import {fromJavaScript} from './from-javascript.js';
import type {FunctionTable, TemplateFunction} from './functions.js';
import {toJavaScript} from './to-javascript.js';
import {ANY, REFLECT_VALUE, STRING} from './types.js';
import {indirect, isTrue, ofBool, ofString, ofStrings, sortedKeys, type Value} from './value.js';

const text = (value: Value | undefined): ByteString => value!.data as ByteString;

/** Functions of our own, which neither Go nor Docker has: only with `extended`. */
export const EXTENDED_FUNCTIONS: FunctionTable = new Map<ByteString, TemplateFunction>([
  // The value comes last, so that it can be piped: {{.State.Error | default "none"}}
  [
    'default',
    {
      params: [REFLECT_VALUE, REFLECT_VALUE],
      call: ([fallback, value]) => (isTrue(indirect(value!).value) ? value! : fallback!),
    },
  ],
  ['contains', {params: [STRING, STRING], call: ([part, whole]) => ofBool(text(whole).includes(text(part)))}],
  [
    'hasPrefix',
    {params: [STRING, STRING], call: ([part, whole]) => ofBool(text(whole).startsWith(text(part)))},
  ],
  [
    'hasSuffix',
    {params: [STRING, STRING], call: ([part, whole]) => ofBool(text(whole).endsWith(text(part)))},
  ],
  [
    'replace',
    {
      params: [STRING, STRING, STRING],
      call: ([from, to, whole]) => ofString(text(whole).split(text(from)).join(text(to))),
    },
  ],
  [
    'trim',
    {params: [STRING], call: ([value]) => ofString(text(value).replace(/^[\t-\r ]+|[\t-\r ]+$/g, ''))},
  ],
  [
    'keys',
    {
      params: [REFLECT_VALUE],
      call: ([map]) => {
        const {value} = indirect(map!);
        if (value.type.kind !== 'map') throw new Error(`keys of type ${value.type.name}`);
        return ofStrings(sortedKeys(value));
      },
    },
  ],
]);

/** A function of the caller's: takes and gives plain JavaScript values; what it throws becomes the template's error. */
export type PlainFunction = (...args: unknown[]) => unknown;

export function plainFunctions(functions: Readonly<Record<string, PlainFunction>>): FunctionTable {
  return new Map(
    Object.entries(functions).map(([name, call]): [ByteString, TemplateFunction] => [
      toBytes(name),
      {params: [ANY], variadic: true, call: args => fromJavaScript(call(...args.map(toJavaScript)))},
    ]),
  );
}
