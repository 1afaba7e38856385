/** A container's log in systemd-journald, read by journalctl(1): the journal's files are its own affair. */
import {execFile, spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {setTimeout as sleep} from 'node:timers/promises';
import {CoracleError} from '../errors.js';
import {formatNanoseconds} from './nanosecond-time.js';
import type {LogEntry} from './read-log.js';

interface JournalEntry {
  readonly cursor: string;
  readonly entry: LogEntry;
}

/** Nobody tells of the end of a container whose monitor was killed. */
const LOOK_AGAIN_MS = 500;

/**
 * As `readLog`.
 * @throws `ERR_LOG_NOT_KEPT` where there is no journalctl, or it fails
 */
export async function* readJournal(
  id: string,
  {tail, follow, signal}: {tail?: number; follow?: () => boolean; signal?: AbortSignal},
): AsyncGenerator<LogEntry, void, undefined> {
  const filter = `CONTAINER_ID_FULL=${id}`;
  let cursor: string | undefined;
  const read = async function* (args: readonly string[], until?: AbortSignal) {
    const after = cursor === undefined ? [] : [`--after-cursor=${cursor}`];
    for await (const found of entries([...after, ...args, filter], until, signal)) {
      cursor = found.cursor;
      yield found.entry;
    }
  };
  await takeOver();
  yield* read([`--lines=${tail ?? 'all'}`]);
  if (follow === undefined) return;
  using end = new WhenOver(follow);
  yield* read(
    ['--follow', ...(cursor === undefined && tail === 0 ? ['--lines=0'] : ['--lines=all'])],
    end.signal,
  );
  await takeOver();
  yield* read(['--lines=all']);
}

/** Aborted when a container has ended. */
class WhenOver implements Disposable {
  readonly #over = new AbortController();
  readonly signal = this.#over.signal;

  constructor(goesOn: () => boolean) {
    void this.#watch(goesOn);
  }

  async #watch(goesOn: () => boolean): Promise<void> {
    while (!this.signal.aborted && goesOn()) await sleep(LOOK_AGAIN_MS, undefined, {ref: false});
    this.#over.abort();
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }
}

/** What was sent to the journal is in its files, if it can be asked to see to that. */
function takeOver(): Promise<void> {
  return new Promise(resolve => {
    execFile('journalctl', ['--sync'], {timeout: 10_000}, () => resolve());
  });
}

async function* entries(
  args: readonly string[],
  until: AbortSignal | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<JournalEntry, void, undefined> {
  signal?.throwIfAborted();
  if (until?.aborted) return;
  const child = spawn('journalctl', ['--no-pager', '--quiet', '--all', '--output=json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => child.kill();
  until?.addEventListener('abort', kill);
  signal?.addEventListener('abort', kill);
  let complaint = '';
  child.stderr.on('data', bytes => {
    complaint = `${complaint}${bytes}`.slice(0, 1000);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  ended.catch(() => {}); // awaited below
  try {
    for await (const line of createInterface({input: child.stdout})) yield entryOf(JSON.parse(line));
    const code = await ended;
    signal?.throwIfAborted();
    if (code !== null && code !== 0) throw unreadable(complaint.trim());
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw unreadable('executable file not found', cause);
  } finally {
    until?.removeEventListener('abort', kill);
    signal?.removeEventListener('abort', kill);
    kill();
  }
}

type Fields = Readonly<Record<string, string | readonly number[] | null>>;

/** Of JSON as journalctl prints it: what is no UTF-8 text is a list of bytes. */
export function entryOf(fields: Fields): JournalEntry {
  const message = bytesOf(fields['MESSAGE']);
  const isPartial = fields['CONTAINER_PARTIAL_MESSAGE'] === 'true';
  const microseconds = BigInt(String(fields['__REALTIME_TIMESTAMP']));
  return {
    cursor: String(fields['__CURSOR']),
    entry: {
      stream: fields['PRIORITY'] === '3' ? 'stderr' : 'stdout',
      bytes: isPartial ? message : Buffer.concat([message, Buffer.from('\n')]),
      time: formatNanoseconds(microseconds * 1000n),
      attributes: attributesOf(fields),
    },
  };
}

/** One that occurs several times is a list of lists. */
function bytesOf(value: Fields[string] | undefined): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value ?? []);
}

/** What the journal or the driver does not always say. */
function attributesOf(fields: Fields): Readonly<Record<string, string>> {
  const own = Object.entries(fields).filter(
    ([key]) => !/^(_|CONTAINER_|SYSLOG_|MESSAGE$|PRIORITY$)/.test(key),
  );
  return Object.fromEntries(own.map(([key, value]) => [key, bytesOf(value).toString()]));
}

function unreadable(why: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_LOG_NOT_KEPT', `journalctl: ${why}`, {
    cause,
    hint: 'apt-get install systemd; who may read the journal is root, or in the group systemd-journal.',
  });
}
