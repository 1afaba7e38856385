import {readFileSync, readlinkSync, writeFileSync} from 'node:fs';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {Image, type RunOptions} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

/** What dockerd 20.10 gave a container of the kind: see test/fixtures/docker/README.md. */
function docker(kind: string, file: string): string {
  return readFileSync(new URL(`../fixtures/docker/containers/${kind}/${file}.txt`, import.meta.url), 'utf8');
}

/** The options of the recorded kinds. Docker sets no_new_privs only when it is asked to; it is compared on its own. */
const KINDS: Readonly<Record<string, RunOptions>> = {
  default: {},
  'user-1000': {user: '1000:1000'},
  'user-unknown': {user: '4321'},
  'cap-drop-all': {capabilities: {drop: ['ALL']}},
  'cap-add-sys-admin': {capabilities: {add: ['SYS_ADMIN']}},
  'cap-add-all': {capabilities: {add: ['ALL']}},
  'read-only': {readOnly: true},
  'seccomp-unconfined': {seccomp: 'unconfined'},
  privileged: {privileged: true},
  'network-host': {network: 'host'},
};

/** Lines of /proc/PID/status that are the same on every host, by what they tell. */
const STATUS = [
  'Uid',
  'Gid',
  'Groups',
  'NSpid',
  'NSpgid',
  'NSsid',
  'SigPnd',
  'ShdPnd',
  'SigBlk',
  'SigIgn',
  'SigCgt',
  'CapInh',
  'CapPrm',
  'CapEff',
  'CapBnd',
  'CapAmb',
  'Seccomp',
  'Seccomp_filters',
  'Umask',
  'PPid',
  'TracerPid',
];

/** Which fields differ from what dockerd 20.10 gives, and why. */
const STATUS_DIFFERENCES: Readonly<Record<string, {readonly fields: RegExp; readonly why: string}>> = {
  'cap-add-all': {
    fields: /^Cap(Prm|Eff|Bnd)$/,
    why: 'all are all that the host has, as in later engines; 20.10 did not know the three newest',
  },
  privileged: {fields: /^Cap(Prm|Eff|Bnd)$/, why: 'the same'},
};

asRoot('all capabilities are those that this host has', async t => {
  const all = fields(readFileSync('/proc/self/status', 'utf8'), ['CapBnd'])['CapBnd'];
  for (const kind of ['cap-add-all', 'privileged']) {
    const status = await own.output('cat /proc/self/status', KINDS[kind]);
    t.deepEqual(Object.values(fields(status, ['CapPrm', 'CapEff', 'CapBnd'])), [all, all, all]);
  }
});

for (const [kind, options] of Object.entries(KINDS)) {
  asRoot(
    `ids, capabilities, signals, umask and seccomp mode of "${kind}" are those that dockerd gives`,
    async t => {
      const ours = await own.run({...options, command: ['cat', '/proc/self/status'], noNewPrivileges: false});
      const {lastOutput} = await ours.exit;
      const compared = STATUS.filter(name => !STATUS_DIFFERENCES[kind]?.fields.test(name));
      t.deepEqual(fields(lastOutput.stdout, compared), fields(docker(kind, 'status'), compared));
    },
  );
}

/**
 * Where the mounts inside differ from Docker's, and why. The others are compared by place, flags, type and options.
 * A reason here is a decision: whatever is not listed has to be equal.
 */
const MOUNT_DIFFERENCES: readonly {readonly where: RegExp; readonly why: string}[] = [
  {where: /^\/$/, why: 'the layers are elsewhere; volatile, since nobody mounts this writable layer again'},
  {where: /^\/sys\/fs\/cgroup/, why: 'compared on its own below: which hierarchies a host has differs'},
  {
    where: /^\/sys$/,
    why: 'the mount is read-only as Docker’s; its superblock, which the whole network namespace shares, stays as it is',
  },
  {
    where: /^\/proc\/interrupts$/,
    why: 'masked since moby 28.0: counts of interrupts tell what others type (GHSA-6fw5-f8r9-fgfm); 20.10 did not',
  },
  {
    where: /^\/sys\/devices\/system\/cpu\/cpu\d+\/thermal_throttle$/,
    why: 'masked since moby 28.0, where the processor has it: the same advisory',
  },
  {
    where: /^\/proc\/(kcore|sysrq-trigger|latency_stats|sched_debug|scsi|asound)$/,
    why: 'in Docker’s lists, and not in the kernel that was recorded',
  },
  {
    where: /^\/(proc\/acpi|sys\/firmware)$/,
    why: 'the tmpfs that masks a directory takes no file, device or setuid program either: nosuid, nodev, noexec, one inode',
  },
  {
    where: /^\/etc\/(hosts|hostname|resolv\.conf)$/,
    why: 'bound from the own store: its file system is the host’s',
  },
];

for (const kind of ['default', 'read-only', 'privileged']) {
  asRoot(`mount points, types and options of "${kind}" are those that dockerd gives`, async t => {
    const ours = mounts(await own.output('cat /proc/self/mountinfo', KINDS[kind]));
    const theirs = mounts(docker(kind, 'mountinfo'));
    const isExpected = ({place}: {place: string}) => MOUNT_DIFFERENCES.some(({where}) => where.test(place));
    const compared = (all: typeof ours) =>
      all
        .filter(mount => !isExpected(mount))
        .map(mount => mount.line)
        .sort();
    t.deepEqual(compared(ours), compared(theirs));
    // Docker's own are there as well, whatever they look like in detail.
    const places = ours.map(({place}) => place);
    for (const {place} of theirs) {
      if (!place.startsWith('/sys/fs/cgroup/')) t.true(places.includes(place), place);
    }
  });
}

asRoot('/sys is read-only, and read-write when privileged', async t => {
  const optionsOf = async (options: RunOptions) =>
    mounts(await own.output('cat /proc/self/mountinfo', options)).find(({place}) => place === '/sys')!.line;
  t.regex(await optionsOf({}), /^\/sys +ro,nosuid,nodev,noexec,relatime sysfs/);
  t.regex(await optionsOf({privileged: true}), /^\/sys +rw,nosuid,nodev,noexec,relatime sysfs/);
});

asRoot(
  'the hierarchies of cgroups are read-only, each with the container’s own cgroup as its root',
  async t => {
    const lines = (await own.output('cat /proc/self/mountinfo'))
      .split('\n')
      .filter(line => / - cgroup2? /.test(line));
    t.true(lines.length > 0);
    for (const line of lines) {
      const [, , , root, place, options] = line.split(' ');
      t.is(root, '/', line);
      t.true(place!.startsWith('/sys/fs/cgroup'), line);
      t.is(options, 'ro,nosuid,nodev,noexec,relatime', line);
    }
    t.is(
      await own.output(
        'for path in /sys/fs/cgroup/*/; do mkdir $path/x 2>/dev/null && echo $path; done; true',
      ),
      '',
    );
  },
);

asRoot('no mount is shared with the host, so that none travels in or out', async t => {
  const lines = (await own.output('cat /proc/self/mountinfo')).trimEnd().split('\n');
  t.deepEqual(
    lines.filter(line => /\bshared:/.test(line)),
    [],
  );
});

asRoot('the devices in /dev are those that dockerd makes, and work', async t => {
  const ours = await own.output('ls -la /dev /dev/pts /dev/shm /dev/mqueue');
  t.deepEqual(deviceLines(ours), deviceLines(docker('default', 'dev')));
  t.is(
    await own.output('echo x >/dev/null; head -c 3 /dev/zero | od -An -c; test -w /dev/full'),
    '  \\0  \\0  \\0\n',
  );
});

asRoot('a device that is not among them can be made, and not be opened', async t => {
  const runtime = await own.runtime;
  await Image.fromHost({name: 'with-mknod', binaries: ['sh', 'mknod', 'dd']}, {runtime});
  const exit = await own.sh('mknod /mem c 1 1 || exit 3; dd if=/mem count=1', {}, 'with-mknod');
  t.like(exit, {kind: 'code', code: 1});
  t.regex(exit.lastOutput.stderr, /Operation not permitted/);
});

asRoot(
  'masked files read as nothing, masked directories are empty, and neither can be written to',
  async t => {
    const text = await own.output(`
    for path in /proc/keys /proc/timer_list /proc/interrupts; do
      if [ -e $path ]; then cat $path | wc -c; else echo 0; fi
    done
    for path in /proc/acpi /sys/firmware; do ls $path 2>/dev/null | wc -l; done
    for path in /proc/sys/kernel/panic /proc/sysrq-trigger /proc/bus/x /sys/kernel/x; do
      (echo 1 >$path) 2>/dev/null && echo $path was written
    done
    true`);
    t.is(text, '0\n0\n0\n0\n0\n');
  },
);

asRoot('umask, oom score, personality and id maps are those that dockerd gives', async t => {
  t.is(await own.output('umask'), docker('default', 'umask'));
  const theirs = docker('default', 'process');
  for (const name of ['oom_score_adj', 'coredump_filter', 'personality', 'uid_map', 'gid_map', 'setgroups']) {
    const line = theirs.split('\n').find(each => each.startsWith(`/proc/1/${name} `))!;
    t.is(`/proc/1/${name} ${await own.output(`cat /proc/1/${name}`)}`, `${line}\n`);
  }
});

asRoot('a program has the descriptors 0, 1 and 2 and no other', async t => {
  const container = await own.run({command: ['ls', '-l', '/proc/self/fd']});
  const {stdout} = (await container.exit).lastOutput;
  const links = [...stdout.matchAll(/ (\d+) -> (.*)$/gm)].map(([, fd, target]) => [
    fd,
    target!.replace(/\d+/g, 'N'),
  ]);
  t.deepEqual(links.slice(0, 3), [
    ['0', '/dev/null'],
    ['1', 'pipe:[N]'],
    ['2', 'pipe:[N]'],
  ]);
  t.is(links.length, 4); // the fourth is what ls reads the directory with
});

asRoot('sysctls of the network are those that dockerd sets', async t => {
  // Not ip_forward, which both leave alone: a new namespace has what the first one of the host has.
  const names = ['ip_unprivileged_port_start', 'ping_group_range', 'conf/all/route_localnet'];
  const theirs = docker('default', 'sysctls');
  for (const name of names) {
    const path = `/proc/sys/net/ipv4/${name}`;
    const line = theirs.split('\n').find(each => each.startsWith(`${path} `))!;
    t.is(`${path} ${await own.output(`cat ${path}`)}`, `${line}\n`);
  }
});

asRoot(
  'the limits are those of the host’s init, as dockerd’s are, as far as this process may give them',
  async t => {
    const [ours, init, self] = [
      await own.output('cat /proc/self/limits'),
      readFileSync('/proc/1/limits', 'latin1'),
      readFileSync('/proc/self/limits', 'latin1'),
    ].map(limits);
    for (const [name, [soft, hard]] of Object.entries(ours!)) {
      const ceiling = Number(self![name]![1]);
      const least = (text: string) => (Number(text) > ceiling ? String(ceiling) : text);
      if (Number.isNaN(ceiling)) t.deepEqual([soft, hard], init![name], name);
      else
        t.deepEqual(
          [soft, hard],
          init![name]!.map(text => (text === 'unlimited' ? String(ceiling) : least(text))),
          name,
        );
    }
  },
);

asRoot('the environment is PATH, HOSTNAME, HOME and what was asked for', async t => {
  const container = await own.run({command: ['env'], env: {ASKED: 'for'}, hostname: 'box'});
  const names = (await container.exit).lastOutput.stdout
    .trim()
    .split('\n')
    .map(line => line.split('=')[0]);
  t.deepEqual(names.sort(), ['ASKED', 'HOME', 'HOSTNAME', 'PATH']);
});

asRoot('hosts and host name are the container’s own; the host’s stay as they are', async t => {
  const before = hostname();
  const container = await own.start('cat /etc/hosts; hostname; cat /etc/hostname', {});
  const {stdout} = (await container.exit).lastOutput;
  const id = container.id.slice(0, 12);
  const theirs = docker('default', 'hosts')
    .split('\n')
    .filter(line => !/^172\./.test(line))
    .join('\n');
  t.is(stdout, `${theirs}${id}\n${id}\n`);
  t.is(hostname(), before);
});

asRoot('a container sees its own processes alone, and is pid 1', async t => {
  const container = await own.start('sleep 60 & ls -d /proc/[0-9]*; echo $$; cat /proc/1/comm; exit 0');
  const {stdout} = (await container.exit).lastOutput;
  const lines = stdout.trim().split('\n');
  t.true(lines.filter(line => line.startsWith('/proc/')).length <= 3, stdout);
  t.deepEqual(lines.slice(-2), ['1', 'sh']);
});

asRoot('a container cannot signal what is outside, and others do not see what it has', async t => {
  await using other = await own.run({command: ['sleep', '60'], hostname: 'other'});
  const text = await own.output(
    `kill -9 ${other.pid} 2>/dev/null; kill -9 -1 2>/dev/null; hostname; echo on`,
  );
  t.regex(text, /on\n$/);
  t.is((await other.state()).status, 'running');
});

asRoot('every namespace but user and time is the container’s own', async t => {
  const text = await own.output('readlink /proc/self/ns/*');
  const inside = namespaces(text.split('\n'));
  const outside = namespaces(
    ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'].map(name =>
      readlinkSync(`/proc/self/ns/${name}`),
    ),
  );
  const shared = Object.keys(outside).filter(name => inside[name] === outside[name]);
  t.deepEqual(shared.sort(), ['time', 'user']);
});

asRoot('network none has a loopback that is up, and nothing else', async t => {
  const text = await own.output(
    'cat /proc/net/dev | sed 1,2d | cut -d: -f1; cat /proc/net/route | wc -l; cat /sys/class/net/lo/flags',
  );
  t.deepEqual(text.trim().split(/\s+/), ['lo', '1', '0x9']);
});

asRoot('network host has the interfaces of the host', async t => {
  const names = (text: string) => [...text.matchAll(/^ *([^:\s]+):/gm)].map(([, name]) => name);
  const inside = names(await own.output('cat /proc/net/dev', {network: 'host'}));
  t.deepEqual(inside, names(readFileSync('/proc/net/dev', 'utf8')));
});

asRoot('/etc/mtab and /.dockerenv are those that dockerd makes', async t => {
  const listed = await own.output('ls -l /etc/mtab /.dockerenv; cat /.dockerenv');
  const [mark, mtab] = listed.split('\n').map(line => line.split(/\s+/));
  t.is(mark![0], '-rwxr-xr-x');
  t.deepEqual(mtab!.slice(-3), docker('default', 'mtab').trim().split(/\s+/).slice(-3));
});

asRoot('what a container writes is gone with it and seen by no other', async t => {
  t.is(await own.output('echo mine >/own; cat /own'), 'mine\n');
  t.is(await own.output('cat /own 2>/dev/null; echo none'), 'none\n');
});

asRoot('a read-only root takes no file; /dev, /dev/shm and tmpfs mounts do', async t => {
  const text = await own.output(
    '(echo x >/file) 2>/dev/null || echo refused; echo x >/dev/shm/file && echo shm; echo x >/scratch/file && echo scratch',
    {readOnly: true, mounts: [{type: 'tmpfs', target: '/scratch'}]},
  );
  t.is(text, 'refused\nshm\nscratch\n');
});

asRoot(
  'with a read-only root /etc/hosts, hostname and resolv.conf are so too, unless they are mounts of the caller’s',
  async t => {
    const script =
      'for name in hosts hostname resolv.conf; do (echo x >>/etc/$name) 2>/dev/null && echo $name; done; true';
    t.is(await own.output(script), 'hosts\nhostname\nresolv.conf\n');
    t.is(await own.output(script, {readOnly: true}), '');
    const source = join(own.folder, 'hosts');
    writeFileSync(source, '');
    const mounts = [{type: 'bind', source, target: '/etc/hosts'}] as const;
    t.is(await own.output(script, {readOnly: true, mounts}), 'hosts\n');
  },
);

asRoot('nothing of /proc and /sys is masked or read-only where that was asked for', async t => {
  const covers = async (options: RunOptions) =>
    mounts(await own.output('cat /proc/self/mountinfo', options)).filter(({place}) =>
      /^(\/proc\/.|\/sys\/firmware)/.test(place),
    ).length;
  t.true((await covers({})) > 5);
  t.is(await covers({systemPaths: 'unconfined'}), 0);
  await using created = await own.create({systemPaths: 'unconfined', noNewPrivileges: false});
  t.like((await created.inspect()).HostConfig, {MaskedPaths: [], ReadonlyPaths: [], SecurityOpt: []});
});

asRoot('a rule lets it use a device whose node it makes', async t => {
  await Image.fromHost({name: 'with-mknod', binaries: ['sh', 'mknod', 'dd']}, {runtime: await own.runtime});
  // What has no driver on this host is not there then, but no longer forbidden.
  const script = 'mknod /node c 10 229; (exec 3</node) 2>&1; true';
  const use = (deviceRules: readonly string[]) => own.output(script, {deviceRules}, 'with-mknod');
  t.regex(await use([]), /not permitted/);
  t.notRegex(await use(['c 10:229 rw']), /not permitted/);
  await using created = await own.create({deviceRules: ['c 10:229 rw']});
  t.deepEqual((await created.inspect()).HostConfig.DeviceCgroupRules, ['c 10:229 rw']);
});

asRoot('no_new_privs is on unless it is switched off', async t => {
  const status = (options: RunOptions) =>
    own.output("sed -n 's/^NoNewPrivs:.//p' /proc/self/status", options);
  t.is(await status({}), '1\n');
  t.is(await status({noNewPrivileges: false}), '0\n');
  t.is(fields(docker('no-new-privileges', 'status'), ['NoNewPrivs'])['NoNewPrivs'], '1');
});

asRoot('a container cannot mount, nor make namespaces or user namespaces', async t => {
  const text = await own.output(
    'mount -t tmpfs none /tmp 2>/dev/null || echo no mount; mount --bind / /tmp 2>/dev/null || echo no bind; umount /proc 2>/dev/null || echo no umount',
  );
  t.is(text, 'no mount\nno bind\nno umount\n');
});

function fields(text: string, names: readonly string[]): Record<string, string> {
  const entries = names.map(name => [
    name,
    new RegExp(`^${name}:\\s*(.*?)\\s*$`, 'm').exec(text)?.[1] ?? 'is missing',
  ]);
  return Object.fromEntries(entries);
}

/** proc_pid_mountinfo(5): what is the same on every host. `inode64` of tmpfs is what a kernel was built with: tmpfs(5). */
function mounts(text: string) {
  return text
    .trimEnd()
    .split('\n')
    .map(line => {
      const [before, after] = line.split(' - ') as [string, string];
      const [, , , root, place, options] = before.split(' ') as string[];
      const [type, source, superOptions] = after.split(' ');
      const inner = type === 'proc' || place?.startsWith('/proc/') ? root : '';
      const inside = superOptions!.replace(/,inode(32|64)\b/, '');
      return {place: place!, line: [place, inner, options, type, source, inside].join(' ')};
    });
}

/** Type, mode, numbers and link of each entry, without owners' names, times and counts. */
function deviceLines(text: string): string[] {
  return [...text.matchAll(/^([bcdl][rwxtTsS-]{9}) +\d+ +\S+ +\S+ +(?:(\d+), +(\d+)|\d+) .*?:\d\d (.*)$/gm)]
    .map(([, mode, major = '', minor = '', name]) => [mode, major, minor, name].join(' '))
    .filter(line => !/ \.\.?$/.test(line))
    .sort();
}

function limits(text: string): Record<string, [string, string]> {
  const lines = text.trimEnd().split('\n').slice(1);
  return Object.fromEntries(
    lines.map(line => {
      const [, name, soft, hard] = /^(.*?) {2,}(\S+) +(\S+)/.exec(line)!;
      return [name, [soft, hard]];
    }),
  );
}

function namespaces(links: readonly string[]): Record<string, string> {
  return Object.fromEntries(links.filter(link => link !== '').map(link => [link.split(':')[0], link]));
}
