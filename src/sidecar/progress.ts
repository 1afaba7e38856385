/** What is told while a backup or a restore goes on. */
export interface Progress {
  readonly phase: 'check' | 'copy' | 'verify' | 'transfer';
  /** Of the plain archive. */
  readonly bytes: number;
  /** About as many there will be; undefined when nobody knows. */
  readonly totalBytes: number | undefined;
}

/** Counts what passes, and tells of it. */
export async function* counted(
  source: AsyncIterable<Uint8Array>,
  tell: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    tell(bytes);
    yield chunk;
  }
}

/** Adds what passes to a hash. */
export async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: {update(bytes: Uint8Array): unknown},
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
