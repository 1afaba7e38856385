import {existsSync, readFileSync} from 'node:fs';
import test from 'ava';
import {lowerUlimits, parseProcLimits} from '../../src/sdk/default-ulimits.js';
import * as defaults from '../../src/sdk/docker-defaults.js';

const fixture = (path: string) =>
  readFileSync(new URL(`../fixtures/docker/containers/${path}`, import.meta.url), 'utf8');
const config = JSON.parse(fixture('default/config.json'));

// Both advisories are younger than the engine that was recorded (20.10.24).
const MASKED_SINCE = ['/proc/interrupts', '/sys/devices/virtual/powercap'];

test('what dockerd masks is masked, and what later engines mask too', t => {
  t.deepEqual([...defaults.MASKED_PATHS].sort(), [...config.linux.maskedPaths, ...MASKED_SINCE].sort());
});

test('what dockerd makes read-only is read-only', t => {
  t.deepEqual(defaults.READONLY_PATHS, config.linux.readonlyPaths);
});

test('a network namespace gets the sysctls that dockerd sets', t => {
  t.deepEqual(defaults.NETWORK_SYSCTLS, config.linux.sysctl);
});

test('the default PATH is the one that dockerd adds', t => {
  t.true(config.process.env.includes(`PATH=${defaults.DEFAULT_PATH}`));
});

test('/dev/shm has the size that dockerd gives it', t => {
  const shm = config.mounts.find(({destination}: {destination: string}) => destination === '/dev/shm');
  t.true(shm.options.includes(`size=${defaults.DEFAULT_SHM_BYTES}`));
});

test('the thermal counters of every processor of this host that has them are masked', t => {
  const masked = defaults.hostMaskedPaths();
  t.deepEqual(masked.slice(0, defaults.MASKED_PATHS.length), defaults.MASKED_PATHS);
  const first = '/sys/devices/system/cpu/cpu0/thermal_throttle';
  t.is(masked.includes(first), existsSync(first));
});

test('the limits of a process are read from what the kernel says of it', t => {
  const limits = parseProcLimits(fixture('limits/limits.txt'));
  t.deepEqual(limits.nofile, {soft: 512, hard: 1024});
  t.deepEqual(limits.nproc, {soft: 100, hard: 100});
  t.deepEqual(limits.stack, {soft: 8388608, hard: -1});
  t.deepEqual(limits.nice, {soft: 0, hard: 0});
});

test('every limit of this process can be read', t => {
  const limits = parseProcLimits(readFileSync('/proc/self/limits', 'latin1'));
  t.is(Object.keys(limits).length, 15);
  t.true(limits.nofile.soft > 0);
});

test('without the right to raise hard limits the lower of two counts, for hard and soft', t => {
  const wanted = parseProcLimits(fixture('default/limits.txt'));
  const ceiling = parseProcLimits(fixture('limits/limits.txt'));
  const lowered = lowerUlimits(wanted, ceiling);
  t.deepEqual(lowered.nofile, {soft: 1024, hard: 1024});
  t.deepEqual(lowered.stack, {soft: 8388608, hard: -1});
  t.deepEqual(lowered.cpu, {soft: -1, hard: -1});
});

test('what the kernel names a limit by is required', t => {
  t.throws(() => parseProcLimits(''), {message: /Max core file size/});
});
