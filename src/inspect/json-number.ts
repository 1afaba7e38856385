import type {ByteString} from './byte-string.js';
import {parseFloat64} from './number-literal.js';
import {quote} from './quote.js';
import {defined, INT64, type Method, STRING, type Type} from './types.js';
import {ofFloat, ofString, type Value} from './value.js';

const literal = (self: Value): ByteString => self.data as ByteString;
const failure = (name: string, text: ByteString, because: string) =>
  new Error(`strconv.${name}: parsing ${quote(text)}: ${because}`);

const float64: Method = {
  params: [],
  call(self) {
    const parsed = parseFloat64(literal(self));
    if (!parsed.ok) throw failure('ParseFloat', literal(self), parsed.because);
    return ofFloat(parsed.value);
  },
};

const int64: Method = {
  params: [],
  call(self) {
    const text = literal(self);
    if (!/^[+-]?\d+$/.test(text)) throw failure('ParseInt', text, 'invalid syntax');
    const data = BigInt(text);
    if (data !== BigInt.asIntN(64, data)) throw failure('ParseInt', text, 'value out of range');
    return {type: INT64, data};
  },
};

/** json.Number: a string that keeps the literal of a JSON number, so that `1.0` prints as `1.0`. */
export const JSON_NUMBER: Type = defined('json.Number', STRING, {
  String: {params: [], call: self => ofString(literal(self))},
  Float64: float64,
  Int64: int64,
});
