import test from 'ava';
import {findCgroupMounts} from '../../src/cgroup/mountinfo.js';

const ROOT = '/sys/fs/cgroup';

test('controllers mounted together share one hierarchy', t => {
  const {v1} = findCgroupMounts(
    ROOT,
    '33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct',
    '2:cpu,cpuacct:/system.slice/app.service',
  );
  t.is(v1.get('cpu'), v1.get('cpuacct'));
  t.is(v1.get('cpu')?.ownDirectory, '/sys/fs/cgroup/cpu,cpuacct/system.slice/app.service');
});

test('a mount that shows only a part of its hierarchy, as in a container, is read from that part on', t => {
  const line = (inside: string) => `33 31 0:30 ${inside} /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids`;
  const own = (inside: string, path: string) =>
    findCgroupMounts(ROOT, line(inside), `3:pids:${path}`).v1.get('pids')?.ownDirectory;
  t.is(own('/docker/c1', '/docker/c1/inner'), '/sys/fs/cgroup/pids/inner');
  t.is(own('/docker/c1', '/docker/c1'), '/sys/fs/cgroup/pids');
  t.is(own('/docker/c1', '/docker/c10'), '/sys/fs/cgroup/pids', 'another cgroup is not visible there');
  t.is(own('/', '/../outside'), '/sys/fs/cgroup/pids', 'one above the cgroup namespace neither');
});

test('the v2 tree is found wherever it is mounted below the root, and mounts elsewhere are not ours', t => {
  const find = (mountPoint: string) =>
    findCgroupMounts(ROOT, `41 31 0:38 / ${mountPoint} rw - cgroup2 cgroup2 rw,nsdelegate`, '0::/a').v2
      ?.ownDirectory;
  t.is(find('/sys/fs/cgroup'), '/sys/fs/cgroup/a');
  t.is(find('/sys/fs/cgroup/unified'), '/sys/fs/cgroup/unified/a');
  t.is(find('/run/other/cgroup'), undefined);
  t.is(find('/sys/fs/cgroup2'), undefined);
});

test('a hierarchy with a name and no controller is left out', t => {
  const {v1} = findCgroupMounts(
    ROOT,
    '40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
    '1:name=systemd:/init.scope',
  );
  t.false(v1.has('xattr'));
  t.false(v1.has('memory'));
});

test('blanks in mount points are unescaped', t => {
  const {v2} = findCgroupMounts('/a b', '41 31 0:38 / /a\\040b rw - cgroup2 cgroup2 rw', '0::/');
  t.is(v2?.mountPoint, '/a b');
});
