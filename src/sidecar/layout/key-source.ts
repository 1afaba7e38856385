/** Where the secret of a repository comes from. It is never an argument, and never in an error. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {open} from 'node:fs/promises';
import {CoracleError} from '../../errors.js';
import type {KeySource} from './chunk-store.js';

/** @throws `ERR_REPOSITORY_KEY` when there is none */
export async function readSecret(source: KeySource, signal?: AbortSignal): Promise<Buffer> {
  const secret = withoutLineFeed(await bytesOf(source, signal));
  if (secret.length === 0) throw noSecret(`the key from ${nameOf(source)} is empty`);
  return secret;
}

async function bytesOf(source: KeySource, signal: AbortSignal | undefined): Promise<Buffer> {
  if ('secret' in source) return Buffer.from(source.secret as Uint8Array);
  if ('environment' in source) {
    const value = process.env[source.environment];
    if (value === undefined) throw noSecret(`the environment has no ${source.environment}`);
    return Buffer.from(value);
  }
  return 'file' in source ? await readKeyFile(source.file) : await outputOf(source.command, signal);
}

/** A key is no longer than that. */
const SECRET_BYTES = 65_536;

async function readKeyFile(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const {bytesRead, buffer} = await file.read(Buffer.alloc(SECRET_BYTES + 1), 0, SECRET_BYTES + 1, null);
    if (bytesRead > SECRET_BYTES) throw noSecret(`${path} is no key: it has more than ${SECRET_BYTES} bytes`);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (error instanceof CoracleError) throw error;
    throw noSecret(`the key file ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`, error);
  }
}

async function outputOf([program, ...args]: readonly string[], signal?: AbortSignal): Promise<Buffer> {
  if (program === undefined) throw noSecret('the command for the key is empty');
  const child = spawn(program, args, {stdio: ['inherit', 'pipe', 'inherit'], signal});
  const ended = once(child, 'close') as Promise<[code: number | null, killedBy: string | null]>;
  ended.catch(() => {}); // told below
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > SECRET_BYTES) throw noSecret(`${program} printed more than ${SECRET_BYTES} bytes`);
      chunks.push(chunk);
    }
    const [code, killedBy] = await ended;
    if (code !== 0) throw noSecret(`${program}, which prints the key, ended with ${code ?? killedBy}`);
    return Buffer.concat(chunks);
  } catch (error) {
    child.kill('SIGKILL');
    signal?.throwIfAborted();
    if (error instanceof CoracleError) throw error;
    const {code} = error as NodeJS.ErrnoException;
    throw noSecret(`${program}, which prints the key, cannot be run: ${code}`, error);
  }
}

function withoutLineFeed(secret: Buffer): Buffer {
  return secret.at(-1) === 0x0a ? secret.subarray(0, -1) : secret;
}

function nameOf(source: KeySource): string {
  if ('file' in source) return source.file;
  if ('environment' in source) return source.environment;
  return 'command' in source ? `${source.command[0]}` : 'the caller';
}

function noSecret(message: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_REPOSITORY_KEY', message, {
    cause,
    hint: 'Give it by --key-file, --key-command or CORACLE_REPO_KEY.',
  });
}
