/**
 * Programs that keep credentials: `docker-credential-NAME get|store|erase`, with what is asked on stdin and the answer on
 * stdout, so that nothing secret is in a list of arguments.
 * @see https://github.com/docker/docker-credential-helpers
 */
import {spawn} from 'node:child_process';
import {CoracleError} from '../errors.js';
import type {Credentials} from '../registry/index.js';

/** Undefined when it has none of that server. @throws `ERR_CREDENTIALS` */
export async function helperGet(name: string, server: string): Promise<Credentials | undefined> {
  const answer = await ask(name, 'get', server);
  if (answer === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(answer);
  } catch {
    throw failed(name, 'get', 'answered with what is not JSON');
  }
  const {Username, Secret} = (parsed ?? {}) as {Username?: unknown; Secret?: unknown};
  if (typeof Username !== 'string' || typeof Secret !== 'string')
    throw failed(name, 'get', 'left something out');
  if (Username === '' && Secret === '') return undefined;
  return Username === TOKEN_USER ? {identityToken: Secret} : {username: Username, password: Secret};
}

export async function helperStore(name: string, server: string, credentials: Credentials): Promise<void> {
  const [Username, Secret] =
    'identityToken' in credentials
      ? [TOKEN_USER, credentials.identityToken]
      : [credentials.username, credentials.password];
  await ask(name, 'store', JSON.stringify({ServerURL: server, Username, Secret}));
}

export async function helperErase(name: string, server: string): Promise<void> {
  await ask(name, 'erase', server);
}

/** What the name is when the secret is a token. */
const TOKEN_USER = '<token>';
const ANSWER_BYTES = 1024 * 1024;
const DEADLINE_MS = 120_000; // it may ask a person to unlock something

function ask(name: string, verb: 'get' | 'store' | 'erase', input: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const program = `docker-credential-${name}`;
    const helper = spawn(program, [verb], {stdio: ['pipe', 'pipe', 'inherit']});
    // Not spawn's own: that one stays where the program cannot be run.
    const deadline = setTimeout(() => helper.kill('SIGKILL'), DEADLINE_MS);
    const chunks: Buffer[] = [];
    let bytes = 0;
    helper.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= ANSWER_BYTES) chunks.push(chunk);
      else helper.kill('SIGKILL');
    });
    helper.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(deadline);
      reject(
        failed(name, verb, error.code === 'ENOENT' ? 'is not installed' : `cannot be run: ${error.code}`),
      );
    });
    helper.on('close', (code, signal) => {
      clearTimeout(deadline);
      const answer = Buffer.concat(chunks).toString('utf8');
      if (code === 0) resolve(answer);
      else if (verb !== 'store' && /credentials not found/i.test(answer)) resolve(undefined);
      // What it printed may be the secret itself: it is not repeated.
      else reject(failed(name, verb, signal === null ? `ended with ${code}` : `was ended by ${signal}`));
    });
    helper.stdin.on('error', () => {}); // it had heard enough: its exit tells
    helper.stdin.end(input);
  });
}

function failed(name: string, verb: string, how: string): CoracleError {
  return new CoracleError(
    'ERR_CREDENTIALS',
    `the credential helper docker-credential-${name} ${how} (${verb})`,
    {
      hint: 'The configuration of the docker client names it: credsStore, credHelpers.',
      details: {helper: name},
    },
  );
}
