import {readFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {
  type CauseOfDeath,
  Container,
  describeExit,
  dockerExitCode,
  type Exit,
  type RunningContainer,
  type RunOptions,
} from '../../src/index.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const MIB = 1024 * 1024;

asRoot('run resolves once the program was executed, with its pid as the host counts', async t => {
  await using container = await own.run({command: ['sleep', '60']});
  t.is(readFileSync(`/proc/${container.pid}/comm`, 'utf8'), 'sleep\n');
  t.true(container.startMs > 0);
});

asRoot('hello-world needs no image of the user', async t => {
  const container = await Container.run('hello-world', {}, {runtime: await own.runtime});
  t.regex(await textOf(container.stdout!), /hello/i);
  t.like(await container.exit, {kind: 'code', code: 0});
});

asRoot('the command follows the entrypoint', async t => {
  const container = await own.run({entrypoint: ['echo', 'one'], command: ['two']});
  t.is(await textOf(container.stdout!), 'one two\n');
});

asRoot('variables, working directory and host name are those of the options', async t => {
  const text = await own.output('echo $COLOUR; pwd; cat /proc/sys/kernel/hostname; cat /etc/hostname', {
    env: {COLOUR: 'blue'},
    workdir: '/made/on/demand',
    hostname: 'box',
  });
  t.is(text, 'blue\n/made/on/demand\nbox\nbox\n');
});

asRoot('an exit tells how long the program ran and what it used', async t => {
  const asked = performance.now();
  const container = await own.start('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; read end', {
    stdin: 'pipe',
  });
  const started = performance.now();
  await sleep(50);
  const told = performance.now();
  container.stdin!.end();
  const exit = await container.exit;
  t.true(exit.durationMs >= told - started && exit.durationMs <= performance.now() - asked);
  t.true(exit.cpuTimeMs !== undefined && exit.cpuTimeMs > 0);
  t.true(exit.peakMemoryBytes !== undefined && exit.peakMemoryBytes > 0);
});

/** How programs end: what a container runs, what is done to it, and what its exit says then. */
interface Death {
  readonly what: string;
  readonly script: string;
  readonly options?: RunOptions;
  /** What happens to it from outside, once it has written its first line. */
  readonly deed?: (container: RunningContainer) => unknown;
  readonly dockerExitCode: number;
  readonly cause: CauseOfDeath | ((cause: CauseOfDeath) => boolean);
  readonly sentence: RegExp;
}

const DEATHS: readonly Death[] = [
  {
    what: 'a program that succeeds',
    script: 'exit 0',
    dockerExitCode: 0,
    cause: {kind: 'exit'},
    sentence: /^ended with code 0$/,
  },
  {
    what: 'a program that fails',
    script: 'exit 3',
    dockerExitCode: 3,
    cause: {kind: 'exit'},
    sentence: /^ended with code 3$/,
  },
  {
    what: 'a program that passes its deadline',
    script: 'sleep 60',
    options: {deadlineMs: 100},
    dockerExitCode: 137,
    cause: {kind: 'deadline', deadlineMs: 100},
    sentence: /^was killed: its deadline of 100 ms passed$/,
  },
  {
    what: 'a program that needs more memory than its limit',
    script: 'exec dd if=/dev/zero of=/dev/null bs=100M count=1',
    options: {limits: {memoryBytes: 16 * MIB, memorySwapBytes: 16 * MIB}},
    dockerExitCode: 137,
    cause: {kind: 'memory', limitBytes: 16 * MIB},
    sentence: /^was killed: out of memory \(limit 16777216 bytes\)$/,
  },
  {
    what: 'a program whose child needs more memory, and that copes,',
    script: 'dd if=/dev/zero of=/dev/null bs=100M count=1; [ $? = 137 ]',
    options: {limits: {memoryBytes: 16 * MIB, memorySwapBytes: 16 * MIB}},
    dockerExitCode: 0,
    cause: {kind: 'exit'},
    sentence: /^ended with code 0$/,
  },
  {
    what: 'a fork bomb under a limit of processes',
    script: 'bomb() { bomb | bomb; }; bomb',
    options: {limits: {processes: 8}, deadlineMs: 30_000},
    dockerExitCode: 2,
    cause: cause => cause.kind === 'pids' && cause.limit === 8 && cause.refusedForks > 0,
    sentence: /^failed after \d+ refused forks: its limit is 8 processes$/,
  },
  {
    what: 'a program that stop asks to end',
    script: 'trap "exit 0" TERM; echo; while :; do sleep 0.01; done',
    deed: container => container.stop(),
    dockerExitCode: 0,
    cause: {kind: 'exit'},
    sentence: /^ended with code 0$/,
  },
  {
    what: 'a program that stop asks to end and that ignores it',
    script: 'trap "" TERM; echo; exec sleep 60',
    deed: container => container.stop({timeoutMs: 50}),
    dockerExitCode: 137,
    cause: {kind: 'signal', signal: 9, sender: {by: 'stop'}},
    sentence: /^was ended by SIGKILL sent by stop$/,
  },
  {
    what: 'a program that is killed',
    script: 'echo; exec sleep 60',
    deed: container => container.kill(),
    dockerExitCode: 137,
    cause: {kind: 'signal', signal: 9, sender: {by: 'kill'}},
    sentence: /^was ended by SIGKILL sent by kill$/,
  },
  {
    what: 'a program that is sent a signal and answers with 128 + n, as shells do,',
    script: 'trap "exit 130" INT; echo; while :; do sleep 0.01; done',
    deed: container => container.kill('SIGINT'),
    dockerExitCode: 130,
    cause: {kind: 'signal', signal: 2, sender: {by: 'kill'}},
    sentence: /^was ended by SIGINT sent by kill$/,
  },
  {
    what: 'a program whose container is disposed of',
    script: 'echo; exec sleep 60',
    deed: container => container[Symbol.asyncDispose](),
    dockerExitCode: 137,
    cause: {kind: 'signal', signal: 9, sender: {by: 'dispose'}},
    sentence: /^was ended by SIGKILL sent by dispose$/,
  },
  {
    what: 'a program that somebody on the host kills',
    script: 'echo; exec sleep 60',
    deed: container => process.kill(container.pid, 'SIGKILL'),
    dockerExitCode: 137,
    cause: {kind: 'signal', signal: 9, sender: undefined},
    sentence: /^was ended by SIGKILL$/,
  },
];

for (const {what, script, options, deed, dockerExitCode: code, cause, sentence} of DEATHS) {
  asRoot(`${what} dies as "${sentence.source.replace(/[$^\\]/g, '')}", exit code ${code}`, async t => {
    const container = await own.start(script, options);
    if (deed !== undefined) {
      await firstByte(container);
      await deed(container);
    }
    const exit = await container.exit;
    if (typeof cause === 'function') t.true(cause(exit.cause), show(exit));
    else t.deepEqual(exit.cause, cause, show(exit));
    t.is(dockerExitCode(exit), code, show(exit));
    t.regex(describeExit(exit), sentence);
  });
}

asRoot('a signal that pid 1 has no handler for does nothing, as in every pid namespace', async t => {
  await using container = await own.run({command: ['sleep', '60']});
  await container.kill('SIGTERM');
  await container.kill('SIGINT');
  t.is((await container.state()).status, 'running');
});

asRoot('a program that is stopped gets the stop signal of its options', async t => {
  const container = await own.start('trap "exit 42" USR1; echo; while :; do sleep 0.01; done', {
    stopSignal: 'SIGUSR1',
  });
  await firstByte(container);
  await container.stop();
  t.like(await container.exit, {kind: 'code', code: 42});
});

asRoot('everything in the container dies with its first process', async t => {
  const container = await own.start('sleep 61 & sleep 62 & echo; read end', {stdin: 'pipe'});
  await firstByte(container);
  const processes = childrenOf(container.pid);
  container.stdin!.end();
  await container.exit;
  t.true(processes.length > 0);
  for (const pid of processes) t.false(isSleeping(pid), `process ${pid}`);
});

asRoot('the last output is the end of what nobody took, at most 4 KiB of each stream', async t => {
  const {lastOutput} = await own.sh('seq 100000; echo failed >&2; exit 1', {outputLimitBytes: 1000});
  t.is(lastOutput.stdout.length, 4096);
  t.true(lastOutput.stdout.endsWith('99999\n100000\n'));
  t.is(lastOutput.stderr, 'failed\n');
  t.true(lastOutput.truncated);
});

asRoot('output within the bound is whole, and not marked as truncated', async t => {
  const {lastOutput} = await own.sh('echo out; echo err >&2');
  t.deepEqual(lastOutput, {stdout: 'out\n', stderr: 'err\n', truncated: false});
});

asRoot('a container that was run is gone once its exit is known, and its name can be used again', async t => {
  const runtime = await own.runtime;
  for (let round = 0; round < 3; round++) {
    const container = await own.run({command: ['true'], name: 'again'});
    await container.exit;
    await t.throwsAsync(Container.get('again', {runtime}), {code: 'ERR_CONTAINER_NOT_FOUND'});
    t.false((await Container.list({runtime})).some(({name}) => name === 'again'));
  }
});

asRoot('a container that was run with autoRemove false stays, with its exit', async t => {
  const runtime = await own.runtime;
  const container = await own.run({command: ['sh', '-c', 'exit 5'], autoRemove: false, name: 'stays'});
  await container.exit;
  const found = await Container.get('stays', {runtime});
  t.like(await found.state(), {status: 'exited', exit: {kind: 'code', code: 5}});
  await found.remove();
});

asRoot('disposing twice is fine, and disposing of one that has ended too', async t => {
  const container = await own.run({command: ['sleep', '60']});
  await Promise.all([container[Symbol.asyncDispose](), container[Symbol.asyncDispose]()]);
  await container[Symbol.asyncDispose]();
  const ended = await own.run({command: ['true']});
  await ended.exit;
  await ended[Symbol.asyncDispose]();
  t.like(await ended.exit, {kind: 'code', code: 0});
});

asRoot('leaving the scope kills the program and removes the container', async t => {
  let pid = 0;
  let id = '';
  {
    await using container = await own.run({command: ['sleep', '60'], autoRemove: false});
    ({pid, id} = container);
  }
  t.false(isSleeping(pid));
  await t.throwsAsync(Container.get(id, {runtime: await own.runtime}), {code: 'ERR_CONTAINER_NOT_FOUND'});
});

asRoot('explain lists the steps of a start in their order, with the time of each until exec', async t => {
  const container = await Container.run(
    'host-shell',
    {command: ['true']},
    {runtime: await own.runtime, explain: true},
  );
  await container.exit;
  const steps = container.steps.map(({step}) => step);
  const order = ['clone: clone', 'chroot: switch the root', 'setuid: user', 'exec: exec'];
  t.deepEqual(
    steps.filter(step => order.includes(step)),
    order,
  );
  const measured = container.steps.filter(({phase}) => phase === 'host' || phase === 'child');
  t.deepEqual(
    measured.filter(({step, microseconds}) => !/^(clone|exec)/.test(step) && microseconds === undefined),
    [],
  );
});

asRoot('two hundred lines from twenty containers at once each arrive where they belong', async t => {
  const outputs = await Promise.all(
    Array.from({length: 20}, (_, number) =>
      own.output(`for i in 1 2 3 4 5 6 7 8 9 10; do echo ${number}; done`),
    ),
  );
  outputs.forEach((output, number) => {
    t.is(output, `${number}\n`.repeat(10));
  });
});

async function firstByte(container: RunningContainer): Promise<void> {
  await new Promise<void>(resolve => {
    container.stdout!.once('data', () => resolve());
  });
}

function show(exit: Exit): string {
  return JSON.stringify({...exit, lastOutput: exit.lastOutput.stderr.slice(0, 200)});
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

function isSleeping(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1') === 'sleep\n';
  } catch {
    return false;
  }
}
