import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot('a program without stdin reads its end at once', async t => {
  t.is(await own.output('cat; echo end'), 'end\n');
});

asRoot('stdin as a pipe takes what is written until its end', async t => {
  const container = await own.run({command: ['cat'], stdin: 'pipe'});
  container.stdin!.write('one\n');
  container.stdin!.end('two\n');
  t.is(await textOf(container.stdout!), 'one\ntwo\n');
  t.like(await container.exit, {kind: 'code', code: 0});
});

const CONTENTS = {
  'a Uint8Array': () => Buffer.from('some bytes'),
  'a text': () => ({text: 'some bytes'}),
  'an async iterable': async function* () {
    yield 'some ';
    await sleep(1);
    yield Buffer.from('bytes');
  },
};

for (const [what, content] of Object.entries(CONTENTS)) {
  asRoot(`stdin can be the bytes of ${what}`, async t => {
    const container = await own.run({command: ['cat'], stdin: content()});
    t.is(await textOf(container.stdout!), 'some bytes');
  });
}

asRoot('ten megabytes go in and come out unchanged', async t => {
  const bytes = Buffer.alloc(10 * 1024 * 1024, 'coracle!');
  const container = await own.run({command: ['cat'], stdin: bytes});
  t.is(Buffer.compare(Buffer.from(await bytesOf(container.stdout!)), bytes), 0);
});

asRoot('a program that ends without reading its stdin is no error', async t => {
  const container = await own.run({command: ['true'], stdin: Buffer.alloc(1024 * 1024)});
  t.like(await container.exit, {kind: 'code', code: 0});
});

asRoot('without a pipe there is no stream: stdin, stdout and stderr are null', async t => {
  const container = await own.run({command: ['true'], stdout: 'ignore', stderr: 'ignore'});
  t.is(container.stdin, null);
  t.is(container.stdout, null);
  t.is(container.stderr, null);
  t.like(await container.exit, {lastOutput: {stdout: '', stderr: '', truncated: false}});
});

asRoot('stdin, stdout and stderr can be the caller’s own', t => {
  const program = `
    import {Container, Runtime} from ${JSON.stringify(fileURLToPath(new URL('../../src/index.ts', import.meta.url)))};
    const runtime = await Runtime.open({root: ${JSON.stringify(own.root)}, run: ${JSON.stringify(own.runDirectory)}});
    const options = {command: ['sh', '-c', 'cat; echo err >&2'], stdin: 'inherit', stdout: 'inherit', stderr: 'inherit'};
    const container = await Container.run('host-shell', options, {runtime});
    await container.exit;
    await runtime.close();`;
  return own.runtime.then(() => {
    const {stdout, stderr, status} = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program],
      {input: 'in\n', encoding: 'utf8', cwd: fileURLToPath(new URL('../..', import.meta.url))},
    );
    t.is(status, 0, stderr);
    t.is(stdout, 'in\n');
    t.regex(stderr, /^err$/m);
  });
});

asRoot('forward hands on what is written, and holds the program back as long as it is asked to', async t => {
  const container = await own.start('head -c 1000000 /dev/zero; echo err >&2');
  let bytes = 0;
  let underWay = 0;
  const stdout = container.forward('stdout', piece => {
    bytes += piece.length;
    underWay++;
    t.is(underWay, 1, 'nothing comes before the last piece was taken');
    return sleep(1).then(() => {
      underWay--;
    });
  });
  let errors = '';
  const stderr = container.forward('stderr', piece => {
    errors += Buffer.from(piece).toString();
    return undefined;
  });
  await Promise.all([stdout, stderr, container.exit]);
  t.is(bytes, 1_000_000);
  t.is(errors, 'err\n');
});

asRoot('output() gives both streams in the order of arrival', async t => {
  // Each line waits until the one before has arrived: of two that wait in two pipes nobody knows which came first.
  const container = await own.start(
    'for i in 1 2 3; do echo out $i; read go; echo err $i >&2; read go; done',
    {stdin: 'pipe'},
  );
  const lines: string[] = [];
  for await (const {stream, bytes} of container.output()) {
    lines.push(`${stream}: ${Buffer.from(bytes)}`);
    container.stdin!.write('\n');
  }
  t.deepEqual(
    lines,
    [1, 2, 3].flatMap(i => [`stdout: out ${i}\n`, `stderr: err ${i}\n`]),
  );
});

asRoot('a taken stream holds the program back until it is read', async t => {
  const container = await own.start('yes | head -c 4194304; echo done >&2');
  const {stdout} = container;
  stdout!.pause();
  const writer = () =>
    Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${container.pid}/io`, 'latin1'))![1]);
  await sleep(100);
  t.true(stdout!.readableLength < 1024 * 1024, `${stdout!.readableLength} bytes are buffered`);
  t.is((await container.state()).status, 'running');
  t.true(writer() < 4194304);
  t.is((await bytesOf(stdout!)).length, 4194304);
  t.like(await container.exit, {kind: 'code', code: 0, lastOutput: {stderr: 'done\n'}});
});

asRoot('a program whose output nobody takes never stops for it', async t => {
  const exit = await own.sh('yes | head -c 20971520; echo done >&2', {outputLimitBytes: 1000});
  t.like(exit, {kind: 'code', code: 0, lastOutput: {stderr: 'done\n', truncated: true}});
});

asRoot('a stream taken late begins with what was kept', async t => {
  const container = await own.start('echo early; echo; exec sleep 60');
  await sleep(50);
  const {stdout} = container;
  const [first] = (await stdout![Symbol.asyncIterator]().next()).value.toString().split('\n');
  t.is(first, 'early');
  await container[Symbol.asyncDispose]();
});

asRoot('a stream can still be taken after the exit', async t => {
  const container = await own.start('echo late');
  await container.exit;
  t.is(await textOf(container.stdout!), 'late\n');
  t.is(await textOf(container.stderr!), '');
});

asRoot('asked for twice, a stream is the same stream', async t => {
  const container = await own.start('echo one');
  t.is(container.stdout, container.stdout);
  t.is(await textOf(container.stdout!), 'one\n');
});

asRoot('leaving output() early closes the pipes: the program gets SIGPIPE, as in a shell', async t => {
  const container = await own.start('yes; exit $?');
  for await (const {bytes} of container.output()) {
    t.true(bytes.length > 0);
    break;
  }
  t.like(await container.exit, {kind: 'code', code: 128 + 13});
});

asRoot('bytes that are no text arrive as they are', async t => {
  const container = await own.start("printf '\\000\\377\\200'");
  t.deepEqual([...(await bytesOf(container.stdout!))], [0, 255, 128]);
});

asRoot('an exit does not wait until a taken stream was read', async t => {
  const container = await own.start('echo unread');
  t.truthy(container.stdout);
  t.like(await container.exit, {kind: 'code', code: 0});
});

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
