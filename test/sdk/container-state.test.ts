import test from 'ava';
import type {CauseOfDeath, Exit, ExitStatus} from '../../src/sdk/container-state.js';
import {describeExit, dockerExitCode, exitStatusOf} from '../../src/sdk/container-state.js';

test('the status word of wait(2) becomes a code or a signal', t => {
  t.deepEqual(exitStatusOf(3 << 8), {kind: 'code', code: 3});
  t.deepEqual(exitStatusOf(9), {kind: 'signal', signal: 9, signalName: 'SIGKILL'});
  t.deepEqual(exitStatusOf(0x80 | 11), {kind: 'signal', signal: 11, signalName: 'SIGSEGV'});
});

test("Docker's exit code is the program's, 128 and the signal, or 255 for one that was lost", t => {
  t.is(dockerExitCode({kind: 'code', code: 7}), 7);
  t.is(dockerExitCode(exitStatusOf(15)), 143);
  t.is(dockerExitCode({kind: 'lost'}), 255);
});

const says = test.macro({
  exec(t, status: ExitStatus, cause: CauseOfDeath, sentence: string) {
    const exit: Exit = {
      ...status,
      cause,
      durationMs: 5,
      cpuTimeMs: undefined,
      peakMemoryBytes: undefined,
      lastOutput: {stdout: '', stderr: '', truncated: false},
    };
    t.is(describeExit(exit), sentence);
  },
  title: (_, _status, cause: CauseOfDeath, sentence) => `${cause.kind}: it ${sentence}`,
});
const killed = exitStatusOf(9);
test(says, {kind: 'code', code: 3}, {kind: 'exit'}, 'ended with code 3');
test(says, exitStatusOf(11), {kind: 'exit'}, 'ended by SIGSEGV');
test(says, killed, {kind: 'deadline', deadlineMs: 500}, 'was killed: its deadline of 500 ms passed');
test(says, killed, {kind: 'memory', limitBytes: 8388608}, 'was killed: out of memory (limit 8388608 bytes)');
test(
  says,
  {kind: 'code', code: 1},
  {kind: 'pids', limit: 8, refusedForks: 3},
  'failed after 3 refused forks: its limit is 8 processes',
);
test(
  says,
  exitStatusOf(31),
  {kind: 'seccomp', systemCall: 'mount'},
  'was killed by its seccomp profile for calling mount',
);
test(
  says,
  exitStatusOf(15),
  {kind: 'signal', signal: 15, sender: {by: 'stop'}},
  'was ended by SIGTERM sent by stop',
);
test(says, {kind: 'lost'}, {kind: 'supervisor-lost'}, 'was killed with the process that watched over it');
test(says, killed, {kind: 'abort'}, 'was killed: its signal was aborted');
