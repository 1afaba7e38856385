import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {detectCgroups} from '../../src/cgroup/index.js';

export interface FakeHost {
  readonly root: string;
  /** Driver for these mounts; "ROOT" in the text stands for the directory. */
  detect(mountinfo: readonly string[], selfCgroup: readonly string[]): ReturnType<typeof detectCgroups>;
  /** Writes a file below the root, with its directories. */
  write(path: string, text?: string): void;
  /** The directories below the root a process may make cgroups in: they get a cgroup.procs. */
  delegate(...paths: readonly string[]): void;
}

/** A directory that looks like /sys/fs/cgroup to code that reads it: for what the driver *decides*, not for the kernel. */
export function fakeHost(t: ExecutionContext): FakeHost {
  const root = mkdtempSync(join(tmpdir(), 'coracle-cgroup-'));
  t.teardown(() => rmSync(root, {recursive: true}));
  const write = (path: string, text = '') => {
    mkdirSync(dirname(join(root, path)), {recursive: true});
    writeFileSync(join(root, path), text);
  };
  return {
    root,
    write,
    delegate: (...paths) => {
      for (const path of paths) write(join(path, 'cgroup.procs'));
    },
    detect: (mountinfo, selfCgroup) =>
      detectCgroups({
        root,
        mountinfo: mountinfo.join('\n').replaceAll('ROOT', root),
        selfCgroup: selfCgroup.join('\n'),
      }),
  };
}

/** mountinfo and /proc/self/cgroup of a host with v1 controllers, cpu and cpuacct together. */
export function v1Host(t: ExecutionContext): FakeHost & {readonly driver: ReturnType<typeof detectCgroups>} {
  const host = fakeHost(t);
  host.delegate('memory', 'cpu,cpuacct', 'pids', 'devices', 'freezer', 'cpuset', 'blkio');
  for (const file of [
    'limit_in_bytes',
    'memsw.limit_in_bytes',
    'soft_limit_in_bytes',
    'swappiness',
    'oom_control',
  ]) {
    host.write(`memory/memory.${file}`);
  }
  for (const file of ['shares', 'cfs_period_us', 'cfs_quota_us']) host.write(`cpu,cpuacct/cpu.${file}`);
  host.write('pids/coracle/pids.max');
  host.write('cpuset/cpuset.cpus', '0-1\n');
  host.write('cpuset/cpuset.mems', '0\n');
  const driver = host.detect(
    [
      '31 23 0:28 / ROOT rw,relatime - tmpfs tmpfs rw,mode=755',
      '32 31 0:29 / ROOT/memory rw - cgroup cgroup rw,memory',
      '33 31 0:30 / ROOT/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
      '34 31 0:31 / ROOT/pids rw - cgroup cgroup rw,pids',
      '35 31 0:32 / ROOT/devices rw - cgroup cgroup rw,devices',
      '36 31 0:33 / ROOT/freezer rw - cgroup cgroup rw,freezer',
      '37 31 0:34 / ROOT/cpuset rw - cgroup cgroup rw,cpuset',
      '38 31 0:35 / ROOT/blkio rw - cgroup cgroup rw,blkio',
      '39 31 0:36 / ROOT/systemd rw - cgroup cgroup rw,xattr,name=systemd',
    ],
    [
      '7:blkio:/',
      '6:cpuset:/',
      '5:freezer:/',
      '4:devices:/',
      '3:pids:/',
      '2:cpu,cpuacct:/user',
      '1:name=systemd:/',
      '8:memory:/',
    ],
  );
  return {...host, driver};
}

/** A host with v2 alone, prepared: the parent exists with its controllers enabled. */
export function v2Host(t: ExecutionContext, controllers = 'cpuset cpu io memory hugetlb pids') {
  const host = fakeHost(t);
  host.delegate('.', 'coracle');
  host.write('cgroup.controllers', `${controllers} rdma misc\n`);
  host.write('cgroup.subtree_control', `${controllers}\n`);
  host.write('coracle/cgroup.subtree_control', `${controllers}\n`);
  host.write('cpuset.cpus.effective', '0-3\n');
  for (const file of [
    'memory.max',
    'memory.swap.max',
    'memory.low',
    'cpu.max',
    'cpu.weight',
    'cpuset.cpus',
    'pids.max',
  ]) {
    host.write(`coracle/${file}`);
  }
  for (const file of ['io.max', 'io.weight', 'hugetlb.2MB.max']) host.write(`coracle/${file}`);
  const driver = host.detect(
    ['35 24 0:30 / ROOT rw,nosuid - cgroup2 cgroup2 rw,nsdelegate'],
    ['0::/user.slice'],
  );
  return {...host, driver};
}
