/** Messages of the domain name system, as far as the tests write and read them: RFC 1035. */

export const TYPES = {A: 1, PTR: 12, TXT: 16, AAAA: 28} as const;
export type RecordType = keyof typeof TYPES;

export interface Answer {
  readonly code: number;
  readonly truncated: boolean;
  /** Addresses, names, or what is left of a record in hexadecimal digits. */
  readonly records: readonly string[];
}

export function encodeQuery(id: number, name: string, type: RecordType): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(0x0100, 2);
  head.writeUInt16BE(1, 4);
  const tail = Buffer.from([0, TYPES[type], 0, 1]);
  return Buffer.concat([head, encodeName(name), tail]);
}

/** What a query asks for. */
export function questionOf(message: Buffer): {
  readonly name: string;
  readonly type: number;
  readonly end: number;
} {
  const [name, at] = readName(message, 12);
  return {name, type: message.readUInt16BE(at), end: at + 4};
}

/** @param addresses of IPv4 */
export function encodeAnswer(
  query: Buffer,
  code: number,
  addresses: readonly string[],
  truncated = false,
): Buffer {
  const {end} = questionOf(query);
  const head = Buffer.from(query.subarray(0, end));
  head.writeUInt16BE(0x8180 | code | (truncated ? 0x0200 : 0), 2);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt16BE(0, 10);
  const records = addresses.map(address =>
    Buffer.from([0xc0, 12, 0, TYPES.A, 0, 1, 0, 0, 0, 30, 0, 4, ...address.split('.').map(Number)]),
  );
  return Buffer.concat([head, ...records]);
}

export function decodeAnswer(message: Buffer): Answer {
  let at = questionOf(message).end;
  const records: string[] = [];
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    const [, after] = readName(message, at);
    const type = message.readUInt16BE(after);
    const data = after + 10;
    at = data + message.readUInt16BE(after + 8);
    if (type === TYPES.A) records.push([...message.subarray(data, at)].join('.'));
    else if (type === TYPES.PTR) records.push(readName(message, data)[0]);
    else records.push(message.toString('hex', data, at));
  }
  return {code: message.readUInt16BE(2) & 15, truncated: (message.readUInt16BE(2) & 0x0200) !== 0, records};
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter(Boolean);
  return Buffer.concat([
    ...labels.map(label => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.alloc(1),
  ]);
}

function readName(message: Buffer, start: number): [name: string, end: number] {
  const labels: string[] = [];
  let at = start;
  let end: number | undefined;
  for (;;) {
    const length = message.readUInt8(at);
    if (length >= 0xc0) {
      end ??= at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
      continue;
    }
    if (length === 0) return [labels.join('.'), end ?? at + 1];
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
}
