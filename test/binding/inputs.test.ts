import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {writeSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {type Descriptor, Inputs, openPipe} from '../../src/binding/index.js';

/** What came through a pipe so far, and its writing end. */
function pipeThrough(inputs: Inputs) {
  const {readEnd, writeEnd} = openPipe();
  const received: string[] = [];
  let ended!: () => void;
  const end = new Promise<void>(resolve => {
    ended = resolve;
  });
  const input = inputs.open(readEnd.fd, ended);
  return {input, end, received, writeEnd, begin: () => input.begin(bytes => received.push(bytes.toString()))};
}

function write(writeEnd: Descriptor, text: string): void {
  writeSync(writeEnd.fd, text);
}

const WAYS = {
  'through the event loop': () => new Inputs(0),
  'in poll(2)': () => {
    const inputs = new Inputs(200);
    inputs.expect();
    return inputs;
  },
  'first in poll(2), then through the event loop': () => {
    const inputs = new Inputs(1);
    inputs.expect();
    return inputs;
  },
};

for (const [way, make] of Object.entries(WAYS)) {
  test.serial(`everything arrives, and the end after it: ${way}`, async t => {
    const {end, begin, received, writeEnd} = pipeThrough(make());
    write(writeEnd, 'one,');
    begin();
    setImmediate(() => {
      write(writeEnd, 'two');
      writeEnd.close();
    });
    await end;
    t.is(received.join(''), 'one,two');
  });

  test.serial(`several are read side by side: ${way}`, async t => {
    const inputs = make();
    const pipes = [pipeThrough(inputs), pipeThrough(inputs), pipeThrough(inputs)];
    for (const {begin} of pipes) begin();
    for (const [index, {writeEnd}] of pipes.entries()) write(writeEnd, `${index}`);
    await untilTrue(t, () => pipes.every(({received}) => received.length === 1));
    for (const {writeEnd} of pipes) writeEnd.close();
    await Promise.all(pipes.map(({end}) => end));
    t.deepEqual(
      pipes.map(({received}) => received),
      [['0'], ['1'], ['2']],
    );
  });

  test.serial(`nothing is given out before begin and while paused: ${way}`, async t => {
    const inputs = make();
    const {input, end, begin, received, writeEnd} = pipeThrough(inputs);
    const other = pipeThrough(inputs); // poll(2) ends for its sake
    other.begin();
    write(writeEnd, 'kept');
    write(other.writeEnd, '.');
    await untilTrue(t, () => other.received.length === 1);
    t.deepEqual(received, []);
    input.pause();
    begin();
    input.pause();
    write(other.writeEnd, '.');
    await untilTrue(t, () => other.received.length === 2);
    t.deepEqual(received, []);
    input.resume();
    writeEnd.close();
    await end;
    t.deepEqual(received, ['kept']);
    other.input.destroy();
    other.writeEnd.close();
  });

  test.serial(`destroyed it ends, though there are writers: ${way}`, async t => {
    const {input, end, begin, writeEnd} = pipeThrough(make());
    begin();
    input.destroy();
    await end;
    t.throws(() => write(writeEnd, 'to nobody'), {code: 'EPIPE'});
    writeEnd.close();
  });
}

test.serial('what waits in poll(2) longer than it may is told by the event loop', async t => {
  const inputs = new Inputs(300);
  const started = process.hrtime.bigint();
  inputs.expect();
  const {end, begin, received, writeEnd} = pipeThrough(inputs);
  begin();
  await new Promise(resolve => setImmediate(resolve)); // its turn is after poll(2)
  const waitedNs = process.hrtime.bigint() - started;
  write(writeEnd, 'late');
  writeEnd.close();
  await end;
  t.deepEqual(received, ['late']);
  t.true(waitedNs > 290_000_000n, `${waitedNs} ns`);
});

test.serial('a signal ends the wait in poll(2)', async t => {
  const inputs = new Inputs(60_000);
  inputs.expect();
  const {end, begin, input, writeEnd} = pipeThrough(inputs);
  process.once('SIGUSR2', () => input.destroy());
  const sender = spawn('sh', ['-c', `sleep 0.2; kill -USR2 ${process.pid}; exec sleep 1000`], {
    stdio: 'ignore',
  });
  begin();
  await end;
  t.is(sender.exitCode, null, 'not its end has ended the wait');
  const gone = once(sender, 'exit');
  sender.kill('SIGKILL');
  await gone;
  writeEnd.close();
});

async function untilTrue(t: ExecutionContext, condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries === 1000) return t.fail('it never came');
    await new Promise(resolve => setImmediate(resolve));
    await sleep(1);
  }
}
