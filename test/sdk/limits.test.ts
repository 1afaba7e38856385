import {readFileSync} from 'node:fs';
import type {CoracleError} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const MIB = 1024 * 1024;

asRoot('cpusetCpus binds a container to processors', async t => {
  t.is(
    await own.output("sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status", {limits: {cpusetCpus: '0'}}),
    '0\n',
  );
});

asRoot('the limit of processes counts all of them', async t => {
  const exit = await own.sh('sleep 60 & sleep 60 & sleep 60 & sleep 60 & echo four', {
    limits: {processes: 4},
  });
  t.not(exit.kind === 'code' && exit.code, 0);
  t.like(exit.cause, {kind: 'pids', limit: 4});
});

asRoot('memory within the limit is given, and the peak is reported', async t => {
  const exit = await own.sh('exec dd if=/dev/zero of=/dev/null bs=32M count=1', {
    limits: {memoryBytes: 64 * MIB},
  });
  t.like(exit, {kind: 'code', code: 0});
  t.true(exit.peakMemoryBytes! > 30 * MIB && exit.peakMemoryBytes! <= 64 * MIB, String(exit.peakMemoryBytes));
});

asRoot('files in a tmpfs count as memory', async t => {
  const exit = await own.sh('exec dd if=/dev/zero of=/dev/shm/big bs=1M count=60', {
    limits: {memoryBytes: 16 * MIB, memorySwapBytes: 16 * MIB},
  });
  t.is(exit.cause.kind, 'memory');
});

asRoot('the smallest memory limit that is taken starts a program', async t => {
  t.like(await own.sh('exit 0', {limits: {memoryBytes: 6 * MIB}}), {kind: 'code', code: 0});
});

asRoot('ulimits are those of the options', async t => {
  const text = await own.output('ulimit -n; ulimit -Hn; ulimit -c', {
    ulimits: {nofile: {soft: 100, hard: 200}, core: 0},
  });
  t.is(text, '100\n200\n0\n');
});

asRoot('a ulimit above what this process may give is refused by name', async t => {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const mayRaise =
    (BigInt(`0x${/^CapEff:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]}`) >> 24n) & 1n;
  if (hard === undefined || mayRaise === 1n) return t.pass('this process may raise limits');
  const error = (await t.throwsAsync(
    own.run({command: ['true'], ulimits: {nofile: Number(hard) + 1}}),
  )) as CoracleError;
  t.is(error.code, 'ERR_LIMIT_UNSUPPORTED');
  return t.regex(error.message, /nofile/);
});

asRoot('oomScoreAdj is the container’s', async t => {
  t.is(await own.output('cat /proc/self/oom_score_adj', {oomScoreAdj: 300}), '300\n');
});

asRoot('a deadline counts from exec, and does not touch what ends before it', async t => {
  t.like(await own.sh('exit 2', {deadlineMs: 60_000}), {kind: 'code', code: 2});
});

asRoot('a limit that this host cannot enforce is an error that names it, or a warning', async t => {
  const limits = {blkioWeight: 500, memoryBytes: 64 * MIB};
  const attempt = own.run({command: ['true'], limits});
  const error = await attempt.then(
    () => undefined,
    (reason: CoracleError) => reason,
  );
  if (error === undefined) return t.pass('this host enforces weights of block devices');
  t.is(error.code, 'ERR_LIMIT_UNSUPPORTED');
  t.regex(error.message, /blkioWeight/);
  const container = await own.run({command: ['true'], limits, whenUnavailable: 'warn'});
  t.regex(container.warnings.join('\n'), /blkioWeight is not enforced/);
  return t.like(await container.exit, {kind: 'code', code: 0});
});
