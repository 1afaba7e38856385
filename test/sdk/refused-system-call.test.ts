import test from 'ava';
import {findRefusal} from '../../src/sdk/refused-system-call.js';

const record = (pid: number, seconds: string, rest: string) =>
  `<5>[ 2885.270692] audit: type=1326 audit(${seconds}:2): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=${pid} comm="mkdir" exe="/usr/bin/mkdir" ${rest} compat=0 ip=0x7f98f591ff37 code=0x80000000\n`;
const LOG = [
  record(77, '1795914718.677', 'sig=31 arch=c000003e syscall=165'),
  '<6>[ 2885.3] eth0: link up\n',
  record(77, '1795914720.001', 'sig=31 arch=c000003e syscall=83'),
  record(78, '1795914720.002', 'sig=31 arch=c00000b7 syscall=34'),
  record(79, '1795914720.003', 'sig=0 arch=c000003e syscall=83'),
].join('');

test('the call that a filter killed for is named after the kernel’s record', t => {
  t.is(findRefusal(LOG, 77, 1795914719_000), 'mkdir');
  t.is(findRefusal(LOG, 78, 1795914719_000), 'mkdirat');
});

test('a record of a process that had the same pid before is not taken', t => {
  t.is(findRefusal(LOG, 77, 1795914721_000), undefined);
});

test('a call that was refused, but not killed for, is no cause of death', t => {
  t.is(findRefusal(LOG, 79, 1795914719_000), undefined);
});

test('a program’s name cannot pretend to be a record: the kernel writes what is unusual in hexadecimal', t => {
  const name = Buffer.from('x" sig=31 arch=c000003e syscall=1 "').toString('hex');
  const log = record(80, '1795914720.1', 'sig=31 arch=c000003e syscall=83').replace('"mkdir"', name);
  t.is(findRefusal(log, 80, 1795914719_000), 'mkdir');
});
