import {readFileSync} from 'node:fs';
import test from 'ava';
import type {CoracleError} from '../../src/errors.js';
import {
  CAPABILITIES,
  type CapabilityRequest,
  capabilityMask,
  capabilityNames,
  DOCKER_CAPABILITIES,
  hostCapabilities,
  resolveCapabilities,
} from '../../src/sdk/capabilities.js';

const EVERYTHING = (1n << 41n) - 1n;
const fixture = (path: string) =>
  readFileSync(new URL(`../fixtures/docker/${path}`, import.meta.url), 'utf8');

interface RecordedCommand {
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}
const recorded: RecordedCommand[] = fixture('cli-errors.jsonl')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line));

/** The flags that concern capabilities of a recorded `docker run`. */
function requestOf({args}: RecordedCommand): CapabilityRequest {
  const values = (flag: string) => args.filter((_, index) => args[index - 1] === flag);
  return {add: values('--cap-add'), drop: values('--cap-drop'), privileged: args.includes('--privileged')};
}

// The engine that was recorded knows the first 38 capabilities; it ran where CAP_SYS_RESOURCE is missing.
const RECORDED_HOST = ((1n << 38n) - 1n) & ~capabilityMask(['CAP_SYS_RESOURCE']);
const askedForNewer = ({args}: RecordedCommand) => args.includes('PERFMON');
const commands = recorded.filter(({args}) => /^--cap-(add|drop)$/m.test(args.join('\n')));

for (const command of commands.filter(({stdout}) => stdout.includes('CapBnd'))) {
  test(`docker ${command.args.join(' ')} gives the same bounding set as Docker`, t => {
    const bounding = hostCapabilities(command.stdout);
    t.is(resolveCapabilities(requestOf(command), RECORDED_HOST), bounding);
  });
}

for (const command of commands.filter(each => each.exitCode === 125 && !askedForNewer(each))) {
  test(`docker ${command.args.join(' ')} is refused in Docker's words`, t => {
    const message = /daemon: (.*)\n/.exec(command.stderr)![1]!;
    t.throws(() => resolveCapabilities(requestOf(command), EVERYTHING), {
      code: 'ERR_INVALID_OPTION',
      message,
    });
  });
}

test('the recordings contain both kinds of command', t => {
  t.true(commands.filter(({stdout}) => stdout.includes('CapBnd')).length >= 7);
  t.true(commands.filter(({exitCode}) => exitCode === 125).length >= 7);
});

test('the names are in the order of the kernel header, 41 of them', t => {
  const header = readFileSync('/usr/include/linux/capability.h', 'utf8');
  const numbers = new Map(
    [...header.matchAll(/^#define (CAP_[A-Z_]+)\s+(\d+)$/gm)].map(([, name, number]) => [
      name,
      Number(number),
    ]),
  );
  t.is(CAPABILITIES.length, 41);
  CAPABILITIES.forEach((name, number) => {
    t.is(numbers.get(name), number, name);
  });
});

test("a container that asks for nothing has Docker's fourteen, as a real one has", t => {
  const mask = resolveCapabilities({}, EVERYTHING);
  t.is(mask, hostCapabilities(fixture('containers/default/status.txt')));
  t.deepEqual(
    JSON.parse(fixture('containers/default/config.json')).process.capabilities.bounding,
    DOCKER_CAPABILITIES,
  );
});

test('a privileged container has everything the host has, and no more', t => {
  t.is(resolveCapabilities({privileged: true}, EVERYTHING), EVERYTHING);
  t.is(
    resolveCapabilities({privileged: true}, RECORDED_HOST),
    hostCapabilities(fixture('containers/privileged/status.txt')),
  );
});

test('adding a capability that the host lacks is an error that names it, as in Docker 23 and later', t => {
  const error = t.throws<CoracleError>(() => resolveCapabilities({add: ['sys_resource']}, RECORDED_HOST), {
    code: 'ERR_INVALID_OPTION',
    message:
      'invalid CapAdd: capability not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE"',
  });
  t.deepEqual(error.details, {option: 'capabilities.add'});
  t.regex(error.hint!, /CapBnd/);
});

test('a default that the host lacks is left out', t => {
  const host = EVERYTHING & ~capabilityMask(['CAP_MKNOD']);
  t.false(capabilityNames(resolveCapabilities({}, host)).includes('CAP_MKNOD'));
});

test('a misspelt capability is answered with the right spelling', t => {
  const error = t.throws(() => resolveCapabilities({add: ['NET_ADMN']}, EVERYTHING));
  t.like(error, {hint: 'Did you mean CAP_NET_ADMIN?'});
});

test('names and masks convert both ways', t => {
  t.is(capabilityMask(['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE']), (1n << 40n) | 1n);
  t.deepEqual(capabilityNames(EVERYTHING), [...CAPABILITIES]);
  t.deepEqual(capabilityNames((1n << 63n) | 2n), ['CAP_DAC_OVERRIDE']);
});

test('the host has the bounding set that the kernel reports', t => {
  const reported = /CapBnd:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1];
  t.is(hostCapabilities(), BigInt(`0x${reported}`));
});
