import {execFileSync} from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import type {Mount, TmpfsMount} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot('a bind mount shows a directory of the host, and what the container writes there', async t => {
  const source = folder();
  writeFileSync(join(source, 'from-host'), 'host\n');
  t.is(
    await own.output('cat /data/from-host; echo container >/data/back', {mounts: [bind(source, '/data')]}),
    'host\n',
  );
  t.is(readFileSync(join(source, 'back'), 'utf8'), 'container\n');
});

asRoot('a read-only bind mount takes nothing', async t => {
  const source = folder();
  const mounts = [{...bind(source, '/data'), readOnly: true}];
  t.is(await own.output('(echo x >/data/file) 2>/dev/null || echo refused', {mounts}), 'refused\n');
});

asRoot('a file can be bound over a file, and over nothing', async t => {
  const source = join(folder(), 'file');
  writeFileSync(source, 'bound\n');
  const mounts = [bind(source, '/etc/passwd'), bind(source, '/new/place/file')];
  t.is(await own.output('cat /etc/passwd /new/place/file', {mounts}), 'bound\nbound\n');
});

asRoot('/etc/hosts can be the caller’s', async t => {
  const source = join(folder(), 'hosts');
  writeFileSync(source, '192.0.2.1 mine\n');
  t.is(await own.output('cat /etc/hosts', {mounts: [bind(source, '/etc/hosts')]}), '192.0.2.1 mine\n');
});

asRoot('a mount below another one is seen, in whatever order they are given', async t => {
  const [outer, inner] = [folder(), folder()];
  writeFileSync(join(outer, 'outer'), '');
  writeFileSync(join(inner, 'inner'), '');
  for (const mounts of [
    [bind(outer, '/a'), bind(inner, '/a/b')],
    [bind(inner, '/a/b'), bind(outer, '/a')],
  ]) {
    t.is(await own.output('ls /a /a/b', {mounts}), '/a:\nb\nouter\n\n/a/b:\ninner\n');
  }
});

asRoot('a missing source is made when that was asked for', async t => {
  const source = join(folder(), 'made', 'deep');
  await own.output('true', {mounts: [{...bind(source, '/data'), createSource: true}]});
  t.true(statSync(source).isDirectory());
});

asRoot('a source that is a symlink is followed on the host', async t => {
  const source = folder();
  writeFileSync(join(source, 'file'), 'there\n');
  symlinkSync(source, `${source}-link`);
  t.is(await own.output('cat /data/file', {mounts: [bind(`${source}-link`, '/data')]}), 'there\n');
});

asRoot('what is mounted below the source comes along, and with nonRecursive not', async t => {
  const source = folder();
  mkdirSync(join(source, 'below'));
  mount(t, ['-t', 'tmpfs', 'none'], join(source, 'below'));
  writeFileSync(join(source, 'below', 'file'), '');
  const target = bind(source, '/data');
  t.is(await own.output('ls /data/below', {mounts: [target]}), 'file\n');
  t.is(await own.output('ls /data/below', {mounts: [{...target, nonRecursive: true}]}), '');
});

asRoot('read-only holds for what is mounted below the source as well', async t => {
  const source = folder();
  mkdirSync(join(source, 'below'));
  mount(t, ['-t', 'tmpfs', 'none'], join(source, 'below'));
  const mounts = [{...bind(source, '/data'), readOnly: true}];
  t.is(await own.output('(echo x >/data/below/file) 2>/dev/null || echo refused', {mounts}), 'refused\n');
});

asRoot(
  'a source that is mounted after the launcher started works; after the exit the host can unmount it',
  async t => {
    await own.sh('true'); // the launcher runs
    const source = folder();
    for (let round = 0; round < 3; round++) {
      const unmount = mount(t, ['-t', 'tmpfs', '-o', 'size=1m', 'none'], source);
      writeFileSync(join(source, 'file'), `round ${round}\n`);
      t.is(
        await own.output('cat /data/file; echo x >/data/out', {mounts: [bind(source, '/data')]}),
        `round ${round}\n`,
      );
      unmount(); // without MNT_DETACH: EBUSY when anything still has it
    }
  },
);

asRoot('after the exit the host can make a new file system on the device that was the source', async t => {
  const [image, source] = [join(folder(), 'image'), folder()];
  execFileSync('truncate', ['-s', '8M', image]);
  const mkfs = () => execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'nodiscard', device], {stdio: 'pipe'});
  const device = execFileSync('losetup', ['--find', '--show', image], {encoding: 'utf8'}).trim();
  t.teardown(() => execFileSync('losetup', ['--detach', device]));
  for (let round = 0; round < 2; round++) {
    mkfs(); // refuses a device that is in use
    const unmount = mount(t, [device], source);
    await own.output('echo x >/data/file; sync', {mounts: [bind(source, '/data')]});
    unmount();
  }
  mkfs();
  t.pass();
});

for (const [propagation, seen] of [
  ['rprivate', ''],
  ['rslave', 'later\n'],
  ['rshared', 'later\n'],
] as const) {
  asRoot(
    `what the host mounts later below a source is ${seen === '' ? 'not ' : ''}seen with ${propagation}`,
    async t => {
      const source = folder();
      mount(t, ['-t', 'tmpfs', 'none'], source);
      execFileSync('mount', ['--make-shared', source]);
      mkdirSync(join(source, 'below'));
      const container = await own.start('read line; ls /data/below', {
        stdin: 'pipe',
        mounts: [{...bind(source, '/data'), propagation}],
      });
      mount(t, ['-t', 'tmpfs', 'none'], join(source, 'below'));
      writeFileSync(join(source, 'below', 'later'), '');
      container.stdin!.end('\n');
      t.is((await container.exit).lastOutput.stdout, seen);
    },
  );
}

asRoot('what a container mounts below an rshared source arrives on the host', async t => {
  const source = folder();
  mount(t, ['-t', 'tmpfs', 'none'], source);
  execFileSync('mount', ['--make-shared', source]);
  mkdirSync(join(source, 'below'));
  const container = await own.start(
    'mount -t tmpfs none /data/below && echo x >/data/below/inside && echo mounted; read line; umount /data/below',
    {stdin: 'pipe', privileged: true, mounts: [{...bind(source, '/data'), propagation: 'rshared'}]},
  );
  await new Promise(resolve => container.stdout!.once('data', resolve));
  t.is(readFileSync(join(source, 'below', 'inside'), 'utf8'), 'x\n');
  container.stdin!.end('\n');
  t.like(await container.exit, {kind: 'code', code: 0});
});

asRoot('a tmpfs mount has the size, mode, owner and flags of its options', async t => {
  const line = async (options: object) => {
    const mounts = [{type: 'tmpfs', target: '/scratch', ...options}] as Mount[];
    const text = await own.output(
      "sed -n 's/.* \\/scratch \\(.*\\) - /\\1 /p' /proc/self/mountinfo; stat -c '%a %u:%g' /scratch",
      {mounts},
    );
    return text.replace(/,inode(32|64)$/m, ''); // what a kernel was built with: tmpfs(5)
  };
  t.is(await line({}), 'rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw\n1777 0:0\n');
  t.is(
    await line({sizeBytes: 1024 * 1024, mode: 0o700, uid: 1000, gid: 100, inodes: 50}),
    'rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw,size=1024k,nr_inodes=50,mode=700,uid=1000,gid=100\n700 1000:100\n',
  );
  t.is(
    await line({exec: true, suid: true, dev: true, readOnly: true}),
    'ro,relatime tmpfs tmpfs rw\n1777 0:0\n',
  );
});

asRoot('a tmpfs mount is full at its size', async t => {
  const exit = await own.sh('dd if=/dev/zero of=/scratch/big bs=64k count=64', {
    mounts: [{type: 'tmpfs', target: '/scratch', sizeBytes: 1024 * 1024}],
  });
  t.like(exit, {kind: 'code', code: 1});
  t.regex(exit.lastOutput.stderr, /No space left on device/);
});

asRoot('/dev/shm has the size of shmSizeBytes', async t => {
  const text = await own.output(
    "sed -n 's/.* \\/dev\\/shm .*size=\\([^,]*\\).*/\\1/p' /proc/self/mountinfo",
    {
      shmSizeBytes: 8 * 1024 * 1024,
    },
  );
  t.is(text, '8192k\n');
});

function folder(): string {
  return mkdtempSync(join(own.folder, 'source-'));
}

function bind(source: string, target: string) {
  return {type: 'bind', source, target} as const;
}

/** Mounts on the host until the test ends or the returned function is called. */
function mount(t: ExecutionContext, args: readonly string[], target: string): () => void {
  execFileSync('mount', [...args, target]);
  let mounted = true;
  const unmount = (...how: string[]) => {
    if (mounted) execFileSync('umount', [...how, target]);
    mounted = false;
  };
  t.teardown(() => unmount('--lazy'));
  return unmount;
}

asRoot('a volume at /etc leaves /etc/hosts and its like as they are without', async t => {
  const mounts = [{type: 'volume', name: 'etc-volume', target: '/etc'}] as const;
  t.regex(await own.output('cat /etc/hosts', {mounts}), /^127\.0\.0\.1\tlocalhost\n/);
});

asRoot(
  'a read-only volume at /etc has places for /etc/hosts and its like, and what else is mounted below it',
  async t => {
    const below = folder();
    writeFileSync(join(below, 'file'), 'below');
    const mounts: Mount[] = [
      {type: 'volume', name: 'etc-read-only', target: '/etc', readOnly: true},
      {type: 'bind', source: join(below, 'file'), target: '/etc/new/file'},
      {type: 'tmpfs', target: '/etc/memory'},
    ];
    const script = `cat /etc/hosts | sed -n 1p; cat /etc/new/file; echo x >/etc/memory/x && echo written
    echo x 2>/dev/null >/etc/x || echo refused`;
    for (const _ of ['first', 'again'])
      t.is(await own.output(script, {mounts}), '127.0.0.1\tlocalhost\nbelowwritten\nrefused\n');
    const [volume] = mounts;
    t.regex(await own.output('cat /etc/hostname', {mounts: [volume!]}), /^[0-9a-f]{12}\n$/);
  },
);

asRoot('a read-only tmpfs has places for what is mounted below it', async t => {
  const mounts: Mount[] = [
    {type: 'tmpfs', target: '/etc', readOnly: true},
    {type: 'tmpfs', target: '/etc/below'},
  ];
  const script = 'ls /etc; echo x >/etc/below/x && echo written; echo x 2>/dev/null >/etc/x || echo refused';
  t.is(await own.output(script, {mounts}), 'below\nhostname\nhosts\nresolv.conf\nwritten\nrefused\n');
});

asRoot('a bind mount that is read-only is not written to for what is mounted below it', async t => {
  const source = folder();
  const mounts: Mount[] = [
    {...bind(source, '/data'), readOnly: true},
    {type: 'tmpfs', target: '/data/below'},
  ];
  await t.throwsAsync(own.run({command: ['true'], mounts}), {code: 'ERR_START_FAILED', message: /EROFS/});
  t.deepEqual(readdirSync(source), []);
});

asRoot('a tmpfs has the mode of the directory that it covers, and its own where it has one', async t => {
  const script = "stat -c '%a %u:%g' /data/private /data/link/. /data/sticky /data/new /data/own";
  const source = folder();
  const make = (name: string, mode: number) => {
    mkdirSync(join(source, name));
    chmodSync(join(source, name), mode);
  };
  make('private', 0o700);
  make('target', 0o750);
  make('sticky', 0o3770);
  make('own', 0o700);
  chownSync(join(source, 'private'), 1000, 1000);
  symlinkSync('target', join(source, 'link'));
  const tmpfs = (name: string, options: Partial<TmpfsMount> = {}) =>
    ({type: 'tmpfs', target: `/data/${name}`, ...options}) as const;
  const mounts: Mount[] = [
    bind(source, '/data'),
    tmpfs('private'),
    tmpfs('link', {readOnly: true}),
    tmpfs('sticky'),
    tmpfs('new'),
    tmpfs('own', {mode: 0o711}),
  ];
  const modes = '700 0:0\n750 0:0\n3770 0:0\n1777 0:0\n711 0:0\n';
  t.is(await own.output(script, {mounts}), modes);
  t.is(await own.output(script, {mounts}), modes, 'as well where its directory was made by the start before');
  t.is(statSync(join(source, 'target')).mode & 0o7777, 0o750);
});

asRoot('a directory on a file, and a file on a directory, are refused in the words of docker', async t => {
  const source = folder();
  const file = join(source, 'file');
  writeFileSync(file, '');
  const hint =
    'not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';
  for (const [mount, from] of [
    [bind(source, '/there/file'), source],
    [bind(file, '/tmp'), file],
    [bind(file, '/there/file/below'), file],
    [{type: 'tmpfs', target: '/there/file'}, 'tmpfs'],
  ] as const) {
    await t.throwsAsync(own.run({command: ['true'], mounts: [bind(source, '/there'), mount]}), {
      code: 'ERR_START_FAILED',
      message: `error mounting "${from}" to rootfs at "${mount.target}": ${hint}`,
    });
  }
});
