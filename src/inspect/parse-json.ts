import {asGoValue} from './from-javascript.js';
import {type JsonDecoding, readJson} from './json-read.js';
import {NOTHING} from './value.js';

declare const goValue: unique symbol;
/** A Go value, to be given to a template. */
export interface GoValue {
  readonly [goValue]: true;
}

/**
 * JSON text as Go values. Unlike JSON.parse it keeps what a template can tell apart: `1.0` from `1`, integers beyond
 * 2^53, `[]string` from `[]interface {}`.
 * @param decoding numbers as literals, as float64, or with the narrowest Go types. @default 'number'
 * @throws JsonSyntaxError
 */
export function parseJson(text: string, decoding: JsonDecoding = 'number'): GoValue {
  return asGoValue(readJson(text, decoding) ?? {...NOTHING}) as unknown as GoValue;
}
