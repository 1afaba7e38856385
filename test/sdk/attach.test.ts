import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {type Attachment, type AttachOptions, Container, type RunOptions, Runtime} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot('started attached, nothing that it writes is missed, and its exit is known', async t => {
  const {attachment} = await attached(t, 'echo out; echo err >&2; exit 3');
  const seen: Record<string, string> = {stdout: '', stderr: ''};
  for await (const {stream, bytes} of attachment.output()) seen[stream] = seen[stream]! + Buffer.from(bytes);
  t.deepEqual(seen, {stdout: 'out\n', stderr: 'err\n'});
  t.like(await attachment.exit, {kind: 'code', code: 3});
});

asRoot('stdin goes in, and its end is the end of file', async t => {
  const {attachment} = await attached(t, 'sort; exit 4', {stdin: 'pipe'}, {stdin: true});
  attachment.stdin!.end('b\na\n');
  t.is(await textOf(attachment), 'a\nb\n');
  t.like(await attachment.exit, {kind: 'code', code: 4});
});

asRoot('several programs attach to one container, and each sees what it writes from then on', async t => {
  const {container, attachment: first} = await attached(
    t,
    'while read line; do echo "$line"; done',
    {
      stdin: 'pipe',
    },
    {stdin: true},
  );
  const runtime = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
  t.teardown(() => runtime.close());
  const second = await (await Container.get(container.id, {runtime})).attach();
  const texts = Promise.all([textOf(first), textOf(second)]);
  first.stdin!.end('to all\n');
  t.deepEqual(await texts, ['to all\n', 'to all\n']);
  t.like(await second.exit, {kind: 'code', code: 0});
});

asRoot('who detaches leaves it running, and its exit is not theirs', async t => {
  const {container, attachment} = await attached(t, 'sleep 60');
  attachment.detach();
  t.is(await attachment.exit, undefined);
  t.is((await container.state()).status, 'running');
  const controller = new AbortController();
  const again = await container.attach({signal: controller.signal});
  controller.abort();
  t.is(await again.exit, undefined);
});

asRoot('a reader that does not read holds nobody up, and is told what it lost', async t => {
  const {container, attachment} = await attached(
    t,
    'read go; head -c 8000000 /dev/zero; echo over >&2; read end',
    {stdin: 'pipe'},
    {stdin: true},
  );
  const slow = await container.attach();
  let release = () => {};
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  let read = 0;
  const reading = slow.forward(({bytes}) => {
    read += bytes.length;
    return held;
  });
  let total = 0;
  const all = attachment.forward(({stream, bytes}) => {
    if (stream === 'stdout') total += bytes.length;
    else release();
    return undefined;
  });
  attachment.stdin!.write('go\n');
  await held; // the container went on to its end although one reader did not read
  attachment.stdin!.end('end\n');
  await Promise.all([reading, all]);
  await Promise.all([slow.exit, attachment.exit]);
  const {stdout, stderr} = slow.lostBytes;
  t.true(stdout > 0);
  t.is(read + stdout + stderr, 8_000_005);
  t.is(total + attachment.lostBytes.stdout, 8_000_000);
});

asRoot('who started it in the foreground may hold it back instead, and loses nothing', async t => {
  const {attachment} = await attached(t, 'head -c 8000000 /dev/zero', {}, {whenSlow: 'wait'});
  let total = 0;
  await attachment.forward(async ({bytes}) => {
    total += bytes.length;
    await sleep(1);
  });
  t.is(total, 8_000_000);
  t.deepEqual(attachment.lostBytes, {stdout: 0, stderr: 0});
});

asRoot(
  'with a terminal the program has one, of the size that was asked for, and its keys make signals',
  async t => {
    const script =
      'test -t 0 && test -t 1 && echo "$TERM $(readlink /proc/self/fd/0)"; test -c /dev/console; cat';
    const {container, attachment} = await attached(
      t,
      script,
      {tty: true, stdin: 'pipe', terminalSize: {rows: 24, columns: 80}},
      {stdin: true},
    );
    let text = '';
    const done = attachment.forward(({bytes}) => {
      text += Buffer.from(bytes);
      if (text === 'xterm /dev/pts/0\r\n') attachment.stdin!.write('typed\n');
      if (text.endsWith('typed\r\ntyped\r\n')) attachment.stdin!.write('\u0004');
      return undefined;
    });
    await attachment.resize(30, 100);
    await done;
    t.is(text, 'xterm /dev/pts/0\r\ntyped\r\ntyped\r\n');
    t.like(await attachment.exit, {kind: 'code', code: 0});
    const {Config, HostConfig} = await container.inspect();
    t.is(Config.Tty, true);
    t.deepEqual(HostConfig.ConsoleSize, [24, 80]);
  },
);

asRoot('nobody attaches to what does not run, or was started attached to a program', async t => {
  const container = await own.create({command: ['true']});
  t.teardown(() => container[Symbol.asyncDispose]());
  await t.throwsAsync(container.attach(), {
    code: 'ERR_CONTAINER_NOT_RUNNING',
    message: 'You cannot attach to a stopped container, start it first',
  });
  await using running = await own.run({command: ['sleep', '60'], autoRemove: false});
  const found = await Container.get(running.id, {runtime: await own.runtime});
  await t.throwsAsync(found.attach(), {code: 'ERR_CONTAINER_ATTACHED'});
});

async function attached(
  t: ExecutionContext,
  script: string,
  options: RunOptions = {},
  attach: AttachOptions = {},
): Promise<{container: Container; attachment: Attachment}> {
  const container = await own.create({...options, command: ['sh', '-c', script]});
  t.teardown(() => container[Symbol.asyncDispose]());
  const {attachment} = await container.startAttached(attach);
  return {container, attachment};
}

async function textOf(attachment: Attachment): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const {bytes} of attachment.output()) pieces.push(bytes);
  return Buffer.concat(pieces).toString();
}
