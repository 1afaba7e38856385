/** Bytes of netlink(7) messages: a head, a fixed part, attributes that may nest. All numbers are the host's: little-endian. */

export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
/** linux/netlink.h: the attribute's value is attributes. */
const NLA_F_NESTED = 0x8000;

const HEAD_BYTES = 16;

export function message(type: number, flags: number, fixed: Buffer, attributes: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  const whole = Buffer.concat([head, padded(fixed), ...attributes]);
  whole.writeUInt32LE(whole.length, 0);
  whole.writeUInt16LE(type, 4);
  whole.writeUInt16LE(NLM_F_REQUEST | flags, 6);
  return whole;
}

export function attribute(type: number, value: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(4 + value.length, 0);
  head.writeUInt16LE(type, 2);
  return padded(Buffer.concat([head, value]));
}

export function nested(type: number, attributes: readonly Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
}

/** With the NUL at its end, as the kernel wants names. */
export function text(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`));
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

/** In network byte order, as nfnetlink has its numbers. */
export function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function be16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** The messages in an answer: each one's type, and its bytes behind the head. */
export function* messagesOf(answer: Buffer): Generator<{readonly type: number; readonly body: Buffer}> {
  for (let at = 0; at + HEAD_BYTES <= answer.length; ) {
    const length = answer.readUInt32LE(at);
    if (length < HEAD_BYTES || at + length > answer.length) return;
    yield {type: answer.readUInt16LE(at + 4), body: answer.subarray(at + HEAD_BYTES, at + length)};
    at += aligned(length);
  }
}

/** Attributes by their type. */
export function attributesOf(bytes: Buffer): Map<number, Buffer> {
  return new Map(attributeList(bytes));
}

/** In their order; a list has several of one type. */
export function* attributeList(bytes: Buffer): Generator<[type: number, value: Buffer]> {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) return;
    yield [bytes.readUInt16LE(at + 2) & ~NLA_F_NESTED, bytes.subarray(at + 4, at + length)];
    at += aligned(length);
  }
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function padded(bytes: Buffer): Buffer {
  const rest = aligned(bytes.length) - bytes.length;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(rest)]);
}
