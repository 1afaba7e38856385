import {spawn} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import type {Clock} from './clock.js';
import type {RunResult} from './run-result.js';
import type {Notice, Webhook} from './schedule-config.js';

/** Tells of a result. @returns what went wrong, one line each, without secrets: a notice that fails does not make the run fail */
export async function notify(
  notice: Notice,
  result: RunResult,
  {clock, signal}: {readonly clock: Clock; readonly signal: AbortSignal},
): Promise<readonly string[]> {
  const {command, webhook, timeoutMs = DEFAULT_TIMEOUT_MS} = notice;
  const problems: string[] = [];
  const body = JSON.stringify(result);
  if (command !== undefined)
    await runHook(command, body, timeoutMs).catch((error: Error) =>
      problems.push(`command ${command[0]}: ${error.message}`),
    );
  if (webhook !== undefined)
    await post(webhook, body, timeoutMs, {clock, signal}).catch((error: Error) =>
      problems.push(`webhook: ${error.message}`),
    );
  return problems;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** The result is on its stdin; its output is ours, so that the journal has it. */
async function runHook(command: readonly string[], body: string, timeoutMs: number): Promise<void> {
  const [program = '', ...words] = command;
  const child = spawn(program, words, {
    stdio: ['pipe', 'inherit', 'inherit'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  child.stdin.on('error', () => {}); // it need not read it
  child.stdin.end(`${body}\n`);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...ended) => resolve(ended));
  });
  if (code !== 0) throw new Error(signal === null ? `ended with code ${code}` : `ended by ${signal}`);
}

/** Three attempts; of 4xx only 408 and 429 are worth another. @throws Error without the URL's path: that may be a token */
async function post(
  webhook: Webhook,
  body: string,
  timeoutMs: number,
  {clock, signal}: {readonly clock: Clock; readonly signal: AbortSignal},
): Promise<void> {
  const url = 'url' in webhook ? webhook.url : (await readFile(webhook.urlFile, 'utf8')).trim();
  if (!URL.canParse(url)) throw new Error('what was given is no URL');
  const {authorizationFile} = webhook;
  const authorization = authorizationFile && (await readFile(authorizationFile, 'utf8')).trim();
  const headers = {'content-type': 'application/json', ...(authorization && {authorization})};
  let problem = '';
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers,
        body,
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.body?.cancel();
      if (response.ok) return;
      problem = `it answered ${response.status}`;
      if (response.status < 500 && ![408, 429].includes(response.status)) break;
    } catch (error) {
      const {name, cause} = error as Error & {cause?: {code?: string}};
      problem = name === 'TimeoutError' ? `no answer within ${timeoutMs} ms` : (cause?.code ?? 'it failed');
    }
    if (signal.aborted) break;
    if (attempt < ATTEMPTS) await clock.until(clock.now() + attempt * RETRY_MS, signal);
  }
  throw new Error(`${new URL(url).origin}: ${problem}`);
}

const ATTEMPTS = 3;
const RETRY_MS = 5_000;
