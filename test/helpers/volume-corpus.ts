import {createHash} from 'node:crypto';
import {constants, ftruncateSync, readFileSync, writeFileSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {
  chmodBelow,
  chownBelow,
  getXattrBelow,
  linkBelow,
  listXattrsBelow,
  mkdirBelow,
  mkdirsBelow,
  mknodBelow,
  openBelow,
  openDirectory,
  readDirectory,
  readlinkBelow,
  setXattrBelow,
  statBelow,
  symlinkBelow,
  utimesBelow,
} from '../../src/binding/index.js';

/**
 * Fills a directory with one of everything that copies tend to lose; for root.
 * @param holeBytes of the file with holes, which has two blocks
 */
export function writeCorpus(directory: string, holeBytes = 64 * 1024 ** 2): void {
  using root = openDirectory(directory);
  const file = (path: string, content: string | Buffer, mode = 0o644) => {
    using made = openBelow(root.fd, path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    writeFileSync(made.fd, content);
    chmodBelow(root.fd, path, mode);
  };
  file('plain', 'plain\n');
  file('empty', '');
  file('setuid', '#!/bin/sh\n', 0o4755);
  file('closed', 'secret\n', 0o000);
  chownBelow(root.fd, 'closed', 4_000_000, 70_000);
  mkdirBelow(root.fd, 'sticky', 0o1777);
  mkdirBelow(root.fd, 'closed-directory', 0o700);
  chownBelow(root.fd, 'closed-directory', 1234, 5678);
  file('closed-directory/inside', 'inside\n');
  linkBelow(root.fd, 'plain', 'closed-directory/hard');
  symlinkBelow(root.fd, 'dangling', '/nowhere/at/all');
  symlinkBelow(root.fd, 'relative', 'plain');
  chownBelow(root.fd, 'relative', 42, 43);
  mknodBelow(root.fd, 'fifo', constants.S_IFIFO | 0o640);
  mknodBelow(root.fd, 'null', constants.S_IFCHR | 0o666, 1, 3);
  mknodBelow(root.fd, 'block', constants.S_IFBLK | 0o600, 7, 250);
  file('.wh.not-a-whiteout', 'kept\n');
  file('new\nline', 'odd\n');
  file('back\\slash "quoted" *', 'odd\n');
  mkdirsBelow(root.fd, 'd'.repeat(100).concat('/').repeat(3).slice(0, -1), 0o755);
  file(`${'d'.repeat(100)}/${'d'.repeat(100)}/${'d'.repeat(100)}/${'n'.repeat(200)}`, 'deep\n');
  {
    const latin = Buffer.from('latin-\xe9', 'latin1');
    using made = openBelow(root.fd, latin, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
    writeFileSync(made.fd, 'not UTF-8\n');
  }
  file('sparse', '');
  writeSparse(join(directory, 'sparse'), holeBytes);
  setXattrBelow(root.fd, 'plain', 'user.mime', Buffer.from([0, 1, 10, 255]));
  setXattrBelow(root.fd, 'closed-directory', 'user.of.a.directory', Buffer.from('x'));
  setXattrBelow(root.fd, 'setuid', 'security.capability', NET_BIND_SERVICE);
  setXattrBelow(root.fd, 'empty', 'system.posix_acl_access', ACL);
  setXattrBelow(root.fd, 'sticky', 'system.posix_acl_default', ACL);
  chmodBelow(root.fd, 'setuid', 0o4755);
  for (const [path, time] of [
    ['plain', 1_000_000_001n],
    ['relative', 1_234_567_890_123_456_789n],
    ['closed-directory', 5_000_000_007n],
    ['sticky', -1_500_000_000n],
  ] as const)
    utimesBelow(root.fd, path, time, time);
  chownBelow(root.fd, '', 999, 998);
  chmodBelow(root.fd, '', 0o700);
  utimesBelow(root.fd, '', 7_000_000_009n, 7_000_000_009n);
}

function writeSparse(path: string, bytes: number): void {
  using directory = openDirectory(join(path, '..'));
  using file = openBelow(directory.fd, 'sparse', constants.O_WRONLY);
  writeAt(file.fd, 'first', bytes / 64);
  writeAt(file.fd, 'second', (bytes * 5) / 8);
  ftruncateSync(file.fd, bytes);
}

function writeAt(fd: number, text: string, at: number): void {
  writeSync(fd, Buffer.from(text), 0, text.length, at);
}

/** linux/capability.h, VFS_CAP_REVISION_2: permitted and effective CAP_NET_BIND_SERVICE. */
const NET_BIND_SERVICE = Buffer.from('0100000200040000000000000000000000000000', 'hex');
/** linux/posix_acl_xattr.h: user::rw-, user:1000:r--, group::r--, mask::r--, other::r-- */
const ACL = Buffer.from(
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff',
  'hex',
);

/**
 * One line for all that can be known of each name below a directory, itself included; what is one file has one number.
 * @param holes whether a file has any: not every tool keeps them
 */
export function treeFacts(path: string, {holes = true} = {}): string[] {
  using root = openDirectory(path);
  const numbers = new Map<bigint, number>();
  const facts: string[] = [];
  const walk = (name: Buffer) => {
    const status = statBelow(root.fd, name);
    const type = status.mode & constants.S_IFMT;
    if (type !== constants.S_IFDIR && !numbers.has(status.inode)) numbers.set(status.inode, numbers.size);
    const xattrs = listXattrsBelow(root.fd, name)
      .sort()
      .map(each => `${each}=${getXattrBelow(root.fd, name, each)?.toString('hex')}`);
    const size = type === constants.S_IFREG ? [status.size, holes && status.blocks * 512 < status.size] : [];
    facts.push(
      [
        JSON.stringify(name.toString('latin1')),
        status.mode.toString(8),
        `${status.uid}:${status.gid}`,
        status.mtimeNs,
        type === constants.S_IFDIR ? '' : `#${numbers.get(status.inode)} ${status.links}`,
        ...size,
        `${status.deviceMajor}:${status.deviceMinor}`,
        type === constants.S_IFLNK ? readlinkBelow(root.fd, name).toString() : '',
        type === constants.S_IFREG ? digest(join(path, '/'), name) : '',
        ...xattrs,
      ].join(' '),
    );
    if (type !== constants.S_IFDIR) return;
    using directory = openBelow(root.fd, name, constants.O_RDONLY | constants.O_DIRECTORY);
    const names = [...readDirectory(directory.fd)].map(entry => entry.name).sort(Buffer.compare);
    for (const each of names) walk(name.length === 0 ? each : Buffer.concat([name, Buffer.from('/'), each]));
  };
  walk(Buffer.alloc(0));
  return facts;
}

function digest(path: string, name: Buffer): string {
  const content = readFileSync(Buffer.concat([Buffer.from(path), name]));
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}
