import {readFileSync} from 'node:fs';
import test from 'ava';
import {normalizeRunOptions} from '../../src/sdk/normalize-run-options.js';
import {type Asked, command} from './recording-sdk.js';

/**
 * Command lines that a real docker refused, with what it said: ours says the same, with our name where Docker says its
 * own. Here are those that are refused before a container is looked for or made; the options are checked by the SDK's
 * own `normalizeRunOptions`. What needs an image, a container or the kernel to be refused is tested where those are.
 */
interface Recorded {
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stderr: string;
}

const recorded: readonly Recorded[] = readFileSync(
  new URL('../fixtures/docker/cli-errors.jsonl', import.meta.url),
  'utf8',
)
  .trim()
  .split('\n')
  .map(line => JSON.parse(line));

const REACHED = 'these options were accepted';

/** Flags of Docker's that this release refuses with a message of its own. */
const LATER = [
  'add-host',
  'attach',
  'cgroupns',
  'detach',
  'detach-keys',
  'device-cgroup-rule',
  'dns',
  'expose',
  'gpus',
  'isolation',
  'kernel-memory',
  'link',
  'log-driver',
  'log-opt',
  'publish',
  'restart',
  'runtime',
  'tty',
];

/** Where ours differs on purpose. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'run --volume-driver nope': 'the client takes dockerd’s 404 about the plugin for one about the image',
  'run --platform nope': 'the SDK knows the platforms',
  'run --security-opt seccomp=/etc/passwd': 'the words about JSON are those of V8',
  'run --cap-add BPF': "engine 20.10 did not know the kernel's newest capabilities",
  'run --hostname a-name-that-is-much-too-long-for-a-host-name-because-linux-takes-sixty-four':
    'refused by us, not by the kernel',
};

const isOurs = ({args, stderr}: Recorded) =>
  args[0] === 'run' &&
  stderr.includes('docker') &&
  !args.some(word => LATER.some(flag => word === `--${flag}`)) &&
  !Object.keys(DIFFERENT).some(start => args.join(' ').startsWith(start));

/** The SDK as far as the options: it accepts them or says why not. */
async function answer(args: readonly string[]) {
  return await command(args, {
    run: async (_, options) => {
      normalizeRunOptions(options, 'docker');
      throw new Error(REACHED);
    },
  });
}

const early: Recorded[] = [];
const late: Recorded[] = [];
for (const line of recorded.filter(isOurs)) {
  const {stderr} = await answer(line.args);
  (stderr.includes(REACHED) ? late : early).push(line);
}

for (const [index, {args, exitCode, stderr}] of early.entries()) {
  test(`${index + 1}. it refuses as Docker does: ${args.map(word => JSON.stringify(word)).join(' ')}`, async t => {
    const ours = await answer(args);
    t.is(ours.stderr.replaceAll('coracle', 'docker'), stderr);
    t.is(ours.exitCode, exitCode);
    t.deepEqual(
      ours.asked.filter(([name]: Asked) => name !== 'run'),
      [],
    );
  });
}

test('at least seventy-five of the recorded refusals are ours as well, and the others need a kernel, an image, a network or a container', t => {
  t.true(early.length >= 75, String(early.length));
  const needsMore =
    /No such (image|container)|Unable to find image|OCI runtime|invalid reference|already in use|Minimum|memory limit|CPUs|CPU cfs|cpuset|memory nodes|shares|\/dev\/nope|unable to find|Cannot mkdir|bind source path|tini|network nope not found/i;
  t.deepEqual(
    late.filter(({stderr}) => !needsMore.test(stderr)).map(({args, stderr}) => [args, stderr]),
    [],
  );
});

test('flags of Docker that come later are refused by name, with what works instead', async t => {
  for (const flag of ['--link=db', '--link-local-ip 169.254.0.2', '--cgroupns host']) {
    const {stderr, exitCode, asked} = await answer(['run', ...flag.split(' '), 'busybox']);
    t.is(exitCode, 125, flag);
    t.regex(
      stderr,
      /^coracle: --[a-z-]+ is not supported by this release: .{20,}\n\nRun 'coracle run --help'/,
      flag,
    );
    t.deepEqual(asked, []);
  }
});
