/** An application whose volume tells whether a copy of it is of one moment. */
import {createHash} from 'node:crypto';
import type {ExecutionContext} from 'ava';
import {Container, Image, type Runtime} from '../../src/index.js';

/** Appends records, each with a hash of it and the one before; goes on where the log ends. */
const writing = (pauseMs: number) => `
  const {createHash} = require('crypto');
  const fs = require('fs');
  const lines = fs.existsSync('/data/log') ? fs.readFileSync('/data/log', 'utf8').trim().split('\\n') : [];
  let hash = lines.at(-1)?.split(' ')[1] ?? '';
  const log = fs.openSync('/data/log', 'a');
  process.on('SIGTERM', () => process.exit(0));
  (function next(n) {
    for (let i = 0; i < 20; i++, n++) {
      hash = createHash('sha256').update(n + hash).digest('hex');
      fs.writeSync(log, n + ' ' + hash + '\\n');
    }
    if (n === 20) console.log('writes');
    fs.writeFileSync('/data/state.new', String(n));
    fs.renameSync('/data/state.new', '/data/state');
    ${pauseMs === 0 ? 'setImmediate(next, n)' : `setTimeout(next, ${pauseMs}, n)`};
  })(lines.length);`;

/**
 * A container that writes to `/data`, on a volume, and has begun to.
 * @param pauseMs between twenty records and the next; 0: as fast as it can
 */
export async function recordWriter(runtime: Runtime, volume: string, pauseMs = 0): Promise<Container> {
  await Image.fromHost({name: 'test-node', binaries: [process.execPath]}, {runtime});
  const container = await Container.create(
    'test-node',
    {
      name: `writer-of-${volume}`,
      command: [process.execPath, '-e', writing(pauseMs)],
      mounts: [{type: 'volume', name: volume, target: '/data'}],
    },
    {runtime},
  );
  await container.startDetached();
  await container.waitFor({log: /writes/}, {timeoutMs: 60_000});
  return container;
}

/** Of the files `log` and `state` of its volume. @returns how many records there are */
export function assertOfOneMoment(t: ExecutionContext, log: string, state: string): number {
  const lines = log.split('\n');
  t.is(lines.pop(), '', 'the last record is whole');
  let hash = '';
  for (const [n, line] of lines.entries()) {
    hash = createHash('sha256')
      .update(n + hash)
      .digest('hex');
    if (line !== `${n} ${hash}`) t.is(line, `${n} ${hash}`);
  }
  t.true(Number(state) <= lines.length, 'one file is not newer than the other');
  return lines.length;
}
