import test from 'ava';
import {parseProcessList} from '../../src/sdk/top.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requires} from '../helpers/requires.js';

const own = ownRuntime();
const withPs = process.getuid?.() === 0 ? requires('ps', 'procps') : asRoot;

test("what ps wrote becomes rows with as many fields as titles; others' processes are left out", t => {
  const text = 'UID   PID CMD\nroot    7 sh -c  x y\nbob     8 true\nroot   70 z\n';
  t.deepEqual(parseProcessList(text, new Set([7, 8])), {
    titles: ['UID', 'PID', 'CMD'],
    processes: [
      ['root', '7', 'sh -c x y'],
      ['bob', '8', 'true'],
    ],
  });
});

test('threads follow their process', t => {
  const text = 'PID TTY\n7 ?\n- ?\n8 ?\n- x\n';
  t.deepEqual(parseProcessList(text, new Set([7])).processes, [
    ['7', '?'],
    ['-', '?'],
  ]);
});

test('without pids nothing says whose the processes are', t => {
  t.throws(() => parseProcessList('CMD\nsh\n', new Set([7])), {
    code: 'ERR_TOP_FAILED',
    message: "Couldn't find PID field in ps output",
  });
  t.throws(() => parseProcessList('PID\nx\n', new Set([7])), {message: "Unexpected pid 'x'"});
});

withPs("top shows the container's processes and no other, in the columns of ps", async t => {
  const container = await own.start('sleep 1234 & exec sleep 1235');
  const full = async () => container.top();
  let list = await full();
  while (list.processes.length < 2 || list.processes.some(row => !row.at(-1)!.startsWith('sleep')))
    list = await full();
  t.deepEqual(list.titles, ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
  t.deepEqual(list.processes.map(row => row.at(-1)).sort(), ['sleep 1234', 'sleep 1235']);
  const chosen = await container.top('-o', 'pid,comm');
  t.deepEqual(chosen.titles, ['PID', 'COMMAND']);
  t.true(chosen.processes.some(([pid, name]) => pid === String(container.pid) && name === 'sleep'));
  t.is((await container.top('aux')).processes.length, 2); // these go together with no list of pids
  await container[Symbol.asyncDispose]();
});

withPs('wrong options are told in the words of ps and dockerd', async t => {
  const container = await own.run({command: ['sleep', '1000']});
  const fails = (options: string[], message: RegExp) =>
    t.throwsAsync(container.top(...options), {code: 'ERR_TOP_FAILED', message});
  await fails(['-o', 'comm'], /^Couldn't find PID field in ps output$/);
  await fails(['-o', 'nonesuch'], /^ps: error: unknown user-defined format specifier "nonesuch"$/);
  await fails(['-o', 'ppid=PID'], /^specifying "ppid=PID" is not allowed$/);
  await container.kill();
  await container.settled;
  const created = await own.create({command: ['true']});
  await t.throwsAsync(created.top(), {
    code: 'ERR_CONTAINER_NOT_RUNNING',
    message: `Container ${created.id} is not running`,
  });
  await created.remove();
});
