import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {Container, type CoracleError, type Exit, type LastOutput, type RunOptions} from '../../src/index.js';
import {PatternWatch} from '../../src/sdk/pattern-watch.js';
import {compileC} from '../helpers/compile-c.js';
import {loadLayered} from '../helpers/layered-image.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

test('a line is found in whatever pieces it comes, in any of both streams, or in one', t => {
  for (let cut = 1; cut < 'one ünd two\n'.length; cut++) {
    const bytes = Buffer.from('one ünd two\n');
    const watch = new PatternWatch({log: 'ünd two'});
    t.false(watch.sees('stderr', bytes.subarray(0, cut)));
    t.true(watch.sees('stderr', bytes.subarray(cut)));
  }
  const stdout = new PatternWatch({log: /^a$/, stream: 'stdout'});
  t.false(stdout.sees('stderr', Buffer.from('a\n')));
  t.true(stdout.sees('stdout', Buffer.from('b\na\r\n')));
});

test('it is counted by lines, also by an expression with memory; the last line need not have an end', t => {
  const twice = new PatternWatch({log: /ready/g, times: 2});
  t.false(twice.sees('stdout', Buffer.from('ready ready\nready')));
  t.true(twice.seesEnd());
});

asRoot('a detached container is waited for by what it writes in its present run', async t => {
  const script =
    '[ -e /again ] && { sleep 0.3; echo second; sleep 60; }; >/again; echo first; echo "port 5432" >&2; sleep 60';
  const container = await detached(t, script);
  await container.waitFor({log: 'first'});
  await container.waitFor({log: /^port (\d+)$/, stream: 'stderr'});
  await t.throwsAsync(container.waitFor({log: 'port', stream: 'stdout'}, {timeoutMs: 1}), {
    code: 'ERR_WAIT_TIMEOUT',
  });
  await container.stop({timeoutMs: 0});
  await container.startDetached();
  await t.throwsAsync(container.waitFor({log: 'first'}, {timeoutMs: 1}), {code: 'ERR_WAIT_TIMEOUT'});
  await container.waitFor({log: 'second'});
});

asRoot('as often as it should be there, over restarts by its policy', async t => {
  const container = await detached(t, 'echo ready; exit 1', {restart: {name: 'always'}});
  await container.waitFor({log: 'ready', times: 3});
  t.true((await container.inspect()).RestartCount >= 1);
});

asRoot('so is one that this process stays with, whether somebody takes its output or not', async t => {
  await using container = await own.start('echo before; read line; echo "got $line"; read line', {
    stdin: 'pipe',
  });
  await container.waitFor({log: 'before'});
  const waiting = container.waitFor({log: /^got it$/});
  const taken = textOf(container.stdout!);
  container.stdin!.write('it\n');
  await waiting;
  container.stdin!.end();
  t.is(await taken, 'before\ngot it\n');
  await using silent = await own.start('sleep 60', {stdout: 'ignore', stderr: 'ignore'});
  await t.throwsAsync(silent.waitFor({log: 'x'}), {code: 'ERR_LOG_NOT_KEPT'});
});

asRoot('a port is waited for in the network of the container alone', async t => {
  const listener = await listenerImage();
  const runtime = await own.runtime;
  const container = await Container.runDetached(listener, {command: ['/listen', '8080']}, {runtime});
  t.teardown(() => container[Symbol.asyncDispose]());
  await container.waitFor({port: 8080});
  await container.waitFor({port: 8080, host: '127.0.0.1'});
  await t.throwsAsync(container.waitFor({port: 8080, host: '127.0.0.2'}, {timeoutMs: 1}), {
    code: 'ERR_WAIT_TIMEOUT',
    message: /8080 at 127\.0\.0\.2/,
  });
  await using other = await own.start('sleep 60');
  await t.throwsAsync(other.waitFor({port: 8080}, {timeoutMs: 1}), {code: 'ERR_WAIT_TIMEOUT'});
  await using attached = await own.run({command: ['/listen', '9090']}, listener);
  await attached.waitFor({port: 9090});
});

asRoot(
  'its health is waited for; one that is unhealthy is given up, with what its last check said',
  async t => {
    const healthcheck = {command: 'echo checked; [ -e /well ]', intervalMs: 20, retries: 2};
    const container = await detached(t, 'echo begun; sleep 60', {healthcheck});
    const error = await failureOf(t, container.waitFor({healthy: true}), 'ERR_CONTAINER_UNHEALTHY');
    t.regex(error.message, /is unhealthy; its last check said: "checked"; it wrote last: "begun"$/);
    t.like(error.details['health'], {status: 'unhealthy'});
    const recovers = container.wait({condition: 'healthy'});
    await container.capture(['touch', '/well']);
    t.is(await recovers, undefined);
    await container.waitFor({healthy: true});
  },
);

asRoot('one that ends first is an error, with how it ended and what it wrote last', async t => {
  const healthcheck = {command: 'exit 1', intervalMs: 20, retries: 1000};
  for (const condition of [{log: 'ready'}, {port: 80}, {healthy: true}] as const) {
    const container = await detached(t, 'sleep 0.2; echo out; echo no database >&2; exit 3', {healthcheck});
    const error = await failureOf(t, container.waitFor(condition), 'ERR_WAIT_ENDED');
    t.regex(error.message, /^\S+ ended with code 3 before it.*; it wrote last: "no database"$/);
    t.like(error.details['exit'] as Exit, {kind: 'code', code: 3});
    t.like(error.details['lastOutput'] as LastOutput, {stdout: 'out\n', stderr: 'no database\n'});
  }
  const removed = await detached(t, 'sleep 60', {autoRemove: true});
  const waiting = failureOf(t, removed.waitFor({log: 'ready'}), 'ERR_WAIT_ENDED');
  await removed.kill();
  await waiting;
  for (const condition of [{log: 'ready'}, {port: 80}] as const) {
    await using attached = await own.start('read line; echo no database >&2; exit 3', {stdin: 'pipe'});
    const failed = failureOf(t, attached.waitFor(condition), 'ERR_WAIT_ENDED');
    attached.stdin!.end();
    const error = await failed;
    t.regex(error.message, /ended with code 3 before it.*"no database"$/);
  }
  const container = await detached(t, 'sleep 0.2', {healthcheck});
  await failureOf(t, container.wait({condition: 'healthy'}), 'ERR_WAIT_ENDED');
});

asRoot(
  'a time that is over is an error with what it wrote last, an abort the reason of the signal',
  async t => {
    const container = await detached(t, 'echo still at it; sleep 60');
    await container.waitFor({log: 'still'});
    for (const condition of [{log: 'ready'}, {port: 80}] as const) {
      const error = await failureOf(t, container.waitFor(condition, {timeoutMs: 1}), 'ERR_WAIT_TIMEOUT');
      t.regex(error.message, /in vain: 1 ms passed before it.*; it wrote last: "still at it"$/);
      const reason = new Error('enough');
      const abort = new AbortController();
      const waiting = container.waitFor(condition, {signal: abort.signal});
      setImmediate(() => abort.abort(reason));
      t.is(await t.throwsAsync(waiting), reason);
      t.is(await t.throwsAsync(container.waitFor(condition, {signal: abort.signal})), reason);
    }
  },
);

asRoot('what cannot come is refused at once', async t => {
  const created = await own.create({command: ['true']});
  t.teardown(() => created.remove());
  for (const condition of [{log: 'x'}, {port: 80}, {healthy: true}] as const)
    await t.throwsAsync(created.waitFor(condition), {code: 'ERR_CONTAINER_NOT_RUNNING'});
  const plain = await detached(t, 'sleep 60', {log: {driver: 'none'}});
  await t.throwsAsync(plain.waitFor({log: 'x'}), {code: 'ERR_LOG_NOT_KEPT'});
  await t.throwsAsync(plain.waitFor({healthy: true}), {code: 'ERR_NO_HEALTHCHECK'});
  for (const [condition, message] of [
    [{}, /one of \{log\}, \{port\} and \{healthy: true\}/],
    [{log: 'x', port: 80}, /one of/],
    [{log: ''}, /log must be a text/],
    [{log: 'x', times: 0}, /times/],
    [{log: 'x', host: '127.0.0.1'}, /unknown option host/],
    [{port: 65_536}, /port/],
    [{port: 80, host: 'localhost'}, /IP address/],
    [{healthy: false}, /healthy must be true/],
    [{logs: 'x'}, /did you mean log/],
  ] as const) {
    await t.throwsAsync(plain.waitFor(condition as never), {code: 'ERR_INVALID_OPTION', message});
  }
  await plain.remove({force: true});
  await t.throwsAsync(plain.waitFor({port: 80}), {code: 'ERR_CONTAINER_NOT_FOUND'});
});

asRoot('the next exit is that of the present run, else that of the next', async t => {
  const container = await detached(t, 'read line || :; sleep 60');
  const waiting = container.wait({condition: 'next-exit'});
  await container.kill();
  t.like(await waiting, {kind: 'signal', signal: 9});
  await container.wait();
  const next = container.wait({condition: 'next-exit'});
  await container.startDetached();
  t.is((await container.state()).status, 'running');
  await container.kill();
  t.like(await next, {kind: 'signal', signal: 9});
});

asRoot('with a restart policy each end is an exit, and so is that of one that removes itself', async t => {
  const script = 'until [ -e /go ]; do sleep 0.02; done; rm /go; exit 4';
  const restarting = await detached(t, script, {restart: {name: 'always'}});
  for (const run of [0, 1]) {
    while ((await restarting.inspect()).RestartCount < run) await sleep(5);
    const next = restarting.wait({condition: 'next-exit'});
    await restarting.capture(['touch', '/go']);
    t.like(await next, {kind: 'code', code: 4});
  }
  await restarting.stop({timeoutMs: 0});
  const passing = await detached(t, 'read line; exit 5', {autoRemove: true, stdin: 'pipe'});
  const next = passing.wait({condition: 'next-exit'});
  const {stdin} = await passing.attach({stdin: true});
  stdin!.end('go\n');
  t.like(await next, {kind: 'code', code: 5});
});

async function failureOf(
  t: ExecutionContext,
  promise: Promise<unknown>,
  code: string,
): Promise<CoracleError> {
  return (await t.throwsAsync(promise, {code})) as CoracleError;
}

async function detached(t: ExecutionContext, script: string, options: RunOptions = {}): Promise<Container> {
  const runtime = await own.runtime;
  const container = await Container.runDetached(
    'host-shell',
    {command: ['sh', '-c', script], ...options},
    {runtime},
  );
  t.teardown(() => container[Symbol.asyncDispose]());
  return container;
}

let listener: Promise<string> | undefined;

/** An image of a program that listens at a port of 127.0.0.1. */
function listenerImage(): Promise<string> {
  listener ??= makeListenerImage();
  return listener;
}

const LISTEN = `#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  return bind(fd, (void *)&at, sizeof at) || listen(fd, 1) || pause();
}
`;

async function makeListenerImage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-listen-'));
  try {
    const content = readFileSync(compileC(folder, 'listen', LISTEN, '-static'));
    await loadLayered(await own.runtime, 'listener', [[{path: 'listen', content, mode: 0o755}]]);
    return 'listener';
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}
