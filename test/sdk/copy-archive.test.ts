import {mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {createGzip} from 'node:zlib';
import type {ExecutionContext} from 'ava';
import type {Container, RunOptions} from '../../src/index.js';
import {readTar} from '../../src/store/read-tar.js';
import {TAR_END, type TarNode, tarHeader, tarPadding} from '../../src/store/write-tar.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

async function* tarOf(...nodes: readonly (TarNode & {readonly text?: string})[]): AsyncGenerator<Buffer> {
  for (const {text = '', ...node} of nodes) {
    yield tarHeader({...node, size: Buffer.byteLength(text)});
    yield Buffer.concat([Buffer.from(text), tarPadding(Buffer.byteLength(text))]);
  }
  yield TAR_END;
}

interface Read {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly target: string;
  readonly text: string;
}

async function read(archive: AsyncIterable<Uint8Array>): Promise<Map<string, Read>> {
  const entries = new Map<string, Read>();
  for await (const entry of readTar(archive)) {
    const {type, path, mode, uid, gid, target} = entry;
    const chunks: Buffer[] = [];
    for await (const bytes of entry.content()) chunks.push(bytes);
    const text = Buffer.concat(chunks).toString();
    entries.set(path.toString(), {type, mode, uid, gid, target: target.toString(), text});
  }
  return entries;
}

async function running(t: ExecutionContext, script: string, options: RunOptions = {}) {
  const container = await own.start(`${script}\necho ready; exec sleep 1000`, options);
  t.teardown(() => container[Symbol.asyncDispose]());
  await container.stdout!.take(1).toArray();
  return container;
}

const NOTE = {type: 'file', path: 'note', text: 'hello\n', mode: 0o4640, uid: 1000, gid: 29} as const;

asRoot('an archive goes in with its owners and modes, and comes out the same', async t => {
  const container = await running(t, 'true');
  await container.putArchive(
    '/tmp',
    tarOf(
      {type: 'directory', path: 'tree/', mode: 0o2770, uid: 1000, gid: 1000},
      {...NOTE, path: 'tree/note'},
      {type: 'link', path: 'tree/same', target: 'tree/note'},
      {type: 'symlink', path: 'tree/link', target: '/etc/shadow'},
      {type: 'fifo', path: 'tree/pipe', mode: 0o600},
      {type: 'file', path: 'tree/deep/er/x', text: 'x'},
    ),
  );
  const entries = await read(container.getArchive('/tmp/tree'));
  t.deepEqual(
    [...entries].map(([path, {type}]) => `${path} ${type}`),
    [
      ...['tree/ directory', 'tree/deep/ directory', 'tree/deep/er/ directory', 'tree/deep/er/x file'],
      ...['tree/link symlink', 'tree/note file', 'tree/pipe fifo', 'tree/same link'],
    ],
  );
  t.like(entries.get('tree/note'), {text: 'hello\n', mode: 0o4640, uid: 1000, gid: 29});
  t.like(entries.get('tree/'), {mode: 0o2770, uid: 1000});
  t.is(entries.get('tree/link')!.target, '/etc/shadow');
  const [first] = await read(container.getArchive('/tmp/tree/.'));
  t.is(first![0], './');
});

asRoot('with asUser everything becomes the user of the container', async t => {
  const container = await running(t, 'true', {user: '4321:99'});
  await container.putArchive('/tmp', tarOf(NOTE), {asUser: true});
  t.like((await read(container.getArchive('/tmp/note'))).get('note'), {uid: 4321, gid: 99, mode: 0o4640});
});

asRoot('a container that does not run is copied into and out of as well, volumes included', async t => {
  const container = await own.create({
    command: ['cat', '/data/note', '/opt/note'],
    mounts: [{type: 'volume', name: 'copied', target: '/data'}],
  });
  t.teardown(() => container.remove({volumes: true}));
  await container.putArchive('/data', tarOf(NOTE));
  await container.putArchive('/', tarOf({...NOTE, path: 'opt/note', text: 'there\n'}));
  t.is((await container.state()).status, 'created');
  t.is(readFileSync(`${(await own.runtime).volume('copied').directory}/_data/note`, 'utf8'), 'hello\n');
  const run = await container.start();
  const text = Buffer.concat(await run.stdout!.toArray()).toString();
  t.is(text, 'hello\nthere\n');
  await run.settled;
  t.is((await read(container.getArchive('/opt/note'))).get('note')!.text, 'there\n');
  t.deepEqual(await container.statPath('/opt/note').then(({type, size, mode}) => [type, size, mode]), [
    'file',
    6,
    0o4640,
  ]);
  t.is((await container.state()).status, 'exited');
});

asRoot('an archive may be compressed, or is refused by the name of its compression', async t => {
  const container = await own.create();
  t.teardown(() => container.remove());
  const zeros = {...NOTE, path: 'zeros', text: '\0'.repeat(3_000_000)};
  await container.putArchive('/tmp', Readable.from(tarOf(NOTE, zeros)).pipe(createGzip()));
  t.is((await container.statPath('/tmp/zeros')).size, 3_000_000);
  await t.throwsAsync(container.putArchive('/tmp', Readable.from([Buffer.from('BZh91AY&SY')])), {
    code: 'ERR_UNSUPPORTED_COMPRESSION',
    message: 'bzip2 compression is not supported',
  });
});

asRoot('an archive that is given up does not keep the container from starting', async t => {
  const container = await own.create({command: ['true']});
  t.teardown(() => container.remove());
  for await (const _ of container.getArchive('/')) break;
  const run = await container.start();
  t.like(await run.exit, {kind: 'code', code: 0});
  await run.settled;
});

asRoot('with ids of its own, owners are those inside', async t => {
  const ranges = [{inside: 0, outside: 300_000, count: 65_536}];
  const container = await running(t, 'true', {userNamespace: {uids: ranges, gids: ranges}});
  await container.putArchive('/tmp', tarOf(NOTE));
  t.like((await read(container.getArchive('/tmp/note'))).get('note'), {uid: 1000, gid: 29});
  t.is(statSync(`/proc/${container.pid}/root/tmp/note`).uid, 301_000);
});

asRoot('symlinks lead nowhere but inside', async t => {
  const secret = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(secret, {recursive: true}));
  writeFileSync(join(secret, 'note'), 'of the host');
  const container = await running(t, `ln -s ${secret} /tmp/out; ln -s ../../../../..${secret} /tmp/up`);
  for (const link of ['out', 'up']) {
    await t.throwsAsync(read(container.getArchive(`/tmp/${link}/note`)), {code: 'ERR_PATH_NOT_FOUND'});
    await t.throwsAsync(container.putArchive(`/tmp/${link}`, tarOf(NOTE)), {code: 'ERR_PATH_NOT_FOUND'});
    // Inside there is no such directory: it is made there, as a program inside would make it.
    await t.throwsAsync(container.putArchive('/tmp', tarOf({...NOTE, path: `${link}/note`})));
  }
  const entries = await read(container.getArchive('/tmp'));
  t.is(entries.get('tmp/out')!.type, 'symlink');
  t.is(readFileSync(join(secret, 'note'), 'utf8'), 'of the host');
  t.deepEqual(readdirSync(secret), ['note']);
});

asRoot('an archive that leads out is refused', async t => {
  const container = await running(t, 'true');
  await t.throwsAsync(container.putArchive('/tmp', tarOf({...NOTE, path: '../../note'})), {
    code: 'ERR_INVALID_LAYER',
    message: /leads out/,
  });
  await t.throwsAsync(
    container.putArchive('/tmp', tarOf({type: 'link', path: 'x', target: '../../etc/passwd'})),
    {code: 'ERR_INVALID_LAYER'},
  );
});

asRoot(
  'a container that swaps directories for symlinks gets nothing of the host, and reads nothing',
  async t => {
    const host = mkdtempSync(join(tmpdir(), 'coracle-test-'));
    t.teardown(() => rmSync(host, {recursive: true}));
    writeFileSync(join(host, 'secret'), 'of the host');
    const swap = `mkdir -p /tmp/a/b; ln -s ${host} /tmp/link; (while :; do mv /tmp/a /tmp/c; mv /tmp/link /tmp/a; mv /tmp/a /tmp/link; mv /tmp/c /tmp/a; done 2>/dev/null) &`;
    const container = await running(t, swap);
    const marker = `mark-${process.pid}`;
    let survived = 0;
    for (let round = 0; round < 60; round++) {
      try {
        await container.putArchive('/tmp/a', tarOf({...NOTE, path: `b/${marker}`}));
        const entries = await read(container.getArchive('/tmp/a'));
        t.false([...entries.values()].some(({text}) => text === 'of the host'));
        survived++;
      } catch (error) {
        t.true(
          ['ERR_PATH_NOT_FOUND', 'ERR_PATH_CONFLICT', 'ERR_NATIVE'].includes((error as {code: string}).code),
          String(error),
        );
      }
    }
    t.deepEqual(readdirSync(host), ['secret']);
    t.log({survived});
  },
);

asRoot('what is no directory is no place to copy into, and no directory is replaced by a file', async t => {
  const container = await running(t, 'mkdir /tmp/dir; echo x >/tmp/file');
  await t.throwsAsync(container.putArchive('/nope', tarOf(NOTE)), {
    code: 'ERR_PATH_NOT_FOUND',
    message: `Could not find the file /nope in container ${container.name}`,
  });
  await t.throwsAsync(container.putArchive('/tmp/file', tarOf(NOTE)), {code: 'ERR_PATH_NOT_FOUND'});
  await t.throwsAsync(container.putArchive('/tmp', tarOf({...NOTE, path: 'dir'})), {
    code: 'ERR_PATH_CONFLICT',
    message: 'cannot overwrite directory "dir" with non-directory "dir"',
  });
  await t.throwsAsync(container.putArchive('/tmp', tarOf({type: 'directory', path: 'file/'})), {
    code: 'ERR_PATH_CONFLICT',
    message: 'cannot overwrite non-directory "file" with directory "file"',
  });
});

asRoot('what is mounted over a file is not replaced, and is nothing yet before the first start', async t => {
  const container = await own.create({command: ['sleep', '60']});
  t.teardown(() => container.remove({force: true}));
  const hosts = () => tarOf({...NOTE, path: 'hosts', text: 'mine\n'});
  await container.putArchive('/etc', hosts());
  t.is((await read(container.getArchive('/etc/hosts'))).get('hosts')!.text, 'mine\n');
  const refused = {
    code: 'ERR_PATH_BUSY',
    message: 'Error processing tar file(exit status 1): unlinkat /etc/hosts: device or resource busy',
  };
  const run = await container.start();
  await t.throwsAsync(run.putArchive('/etc', hosts()), refused);
  const {text, uid} = (await read(run.getArchive('/etc/hosts'))).get('hosts')!;
  t.regex(text, /localhost/);
  t.is(uid, 0);
  await run.kill();
  await run.settled;
  await t.throwsAsync(container.putArchive('/etc', hosts()), refused);
});

asRoot('file systems of the kernel are neither read nor written', async t => {
  const container = await running(t, 'ln -s /proc/sys/kernel /tmp/kernel');
  for (const path of ['/proc/1', '/sys/kernel', '/tmp/kernel']) {
    await t.throwsAsync(container.putArchive(path, tarOf(NOTE)), {code: 'ERR_PATH_FORBIDDEN'});
    await t.throwsAsync(read(container.getArchive(`${path}/x`)), {code: 'ERR_PATH_FORBIDDEN'});
  }
  const entries = await read(container.getArchive('/'));
  t.deepEqual([...entries.keys()].filter(path => /^\/(proc|sys|dev)\//.test(path)).sort(), [
    '/dev/',
    '/proc/',
    '/sys/',
  ]);
});

asRoot('a root that is mounted read-only stays as it is', async t => {
  const container = await running(t, 'true', {readOnly: true, mounts: [{type: 'tmpfs', target: '/run'}]});
  await t.throwsAsync(container.putArchive('/opt/..', tarOf(NOTE)), {
    code: 'ERR_READ_ONLY',
    message: 'container rootfs is marked read-only',
  });
  await container.putArchive('/run', tarOf(NOTE));
  t.is((await container.statPath('/run/note')).size, 6);
});

asRoot(
  'a file that grows while it is read is as long as it was, and one that shrinks is filled up',
  async t => {
    const container = await running(
      t,
      'head -c 3000000 /dev/zero >/tmp/grows; (while :; do head -c 5000000 /dev/zero >/tmp/grows; : >/tmp/grows; done) &',
    );
    for (let round = 0; round < 10; round++) {
      const entries = await read(container.getArchive('/tmp/grows'));
      t.true(entries.has('grows'));
    }
  },
);

async function diffOf(container: Container): Promise<string[]> {
  return (await container.diff()).map(({kind, path}) => `${kind} ${path}`);
}

asRoot(
  'diff tells what was added, changed and deleted, as dockerd does: a time of a directory is no change',
  async t => {
    const container = await own.create(
      {
        command: [
          'sh',
          '-c',
          'echo new >/added; mkdir -p /made/deep; echo x >>/etc/passwd; rm /etc/group; chmod 700 /opt/dir; rm -r /opt/again; mkdir /opt/again; echo y >/opt/again/file; : >>/opt/same; touch /opt/touched',
        ],
      },
      await withFiles(),
    );
    t.teardown(() => container.remove());
    t.deepEqual(await diffOf(container), []);
    const run = await container.start();
    t.like(await run.exit, {kind: 'code', code: 0}, Buffer.concat(await run.stderr!.toArray()).toString());
    await run.settled;
    const changes = await diffOf(container);
    t.deepEqual(
      changes.filter(line => !/ \/(dev|proc|sys)/.test(line)),
      [
        ...['A /added', 'C /etc', 'D /etc/group', 'C /etc/passwd', 'A /made', 'A /made/deep', 'C /opt'],
        ...['C /opt/again', 'A /opt/again/file', 'D /opt/again/old', 'C /opt/dir'],
      ],
    );
  },
);

/** An image of this host's shell and some files. */
async function withFiles(): Promise<string> {
  const {Image} = await import('../../src/index.js');
  const runtime = await own.runtime;
  const shell = await own.create({command: ['true']});
  await shell.putArchive(
    '/',
    tarOf(
      {type: 'directory', path: 'opt/again/'},
      {type: 'file', path: 'opt/again/old', text: 'old'},
      {type: 'directory', path: 'opt/dir/'},
      {type: 'directory', path: 'opt/touched/'},
      {type: 'file', path: 'opt/same', text: 'same'},
      {type: 'file', path: 'etc/passwd', text: 'root:x:0:0:root:/root:/bin/sh\n'},
      {type: 'file', path: 'etc/group', text: 'root:x:0:\n'},
    ),
  );
  const image = await Image.import(shell.getArchive('/'), {reference: 'files:1'}, {runtime});
  await shell.remove();
  return image.id;
}
