import test from 'ava';
import type {ContainerSummary} from '../../src/cli/sdk.js';
import {CoracleError} from '../../src/errors.js';
import type {ContainerInspect, StatsReading} from '../../src/sdk/index.js';
import {command} from './recording-sdk.js';

const ID = '43a81889b58c2dd7b4e689510b43e08198686195cb460d3941e92c0c07e6aaf9';

test("top's table has Docker's tab stops, and the rest of the words are options of ps", async t => {
  const {stdout, asked} = await command(['top', 'web', '-o', 'pid,comm'], {
    top: async () => ({
      titles: ['PID', 'COMMAND'],
      processes: [
        ['19385', 'sleep'],
        ['7', 'a\u001b'],
      ],
    }),
  });
  t.deepEqual(asked, [['top', 'web', ['-o', 'pid,comm']]]);
  t.is(stdout, 'PID                 COMMAND\n19385               sleep\n7                   a\\x1b\n');
});

test('what top refuses, dockerd refuses', async t => {
  const {exitCode, stderr} = await command(['top', 'web', '-o', 'comm'], {
    top: () => Promise.reject(new CoracleError('ERR_TOP_FAILED', "Couldn't find PID field in ps output")),
  });
  t.deepEqual([exitCode, stderr], [1, "Error response from daemon: Couldn't find PID field in ps output\n"]);
});

const web: ContainerSummary = {
  id: ID,
  name: 'web',
  image: 'bb:1',
  imageId: 'sha256:1',
  argv: ['sleep'],
  created: '2026-01-01T00:00:00Z',
  state: {status: 'running', pid: 1, startedAt: '2026-01-01T00:00:00Z'},
  labels: {},
  mounts: [],
  networks: [],
  exposedPorts: [],
  ports: [],
};
const made: ContainerSummary = {
  ...web,
  id: 'b'.repeat(64),
  name: 'made',
  created: '2025-12-31T00:00:00Z',
  state: {status: 'created'},
};

function reading(atMs: number, cpuTimeUs: number): StatsReading {
  return {
    cgroup: {
      atMs,
      cpuTimeUs,
      cpuUserUs: 0,
      cpuSystemUs: 0,
      cpuThrottledPeriods: 0,
      cpuThrottledUs: 0,
      memoryBytes: 768 * 1024,
      memoryLimitBytes: 64 * 1024 * 1024,
      memoryPeakBytes: 0,
      oomKills: 0,
      processes: 3,
      processesLimit: undefined,
      readBytes: 1_234_567,
      writtenBytes: 0,
    },
    received: 656,
    sent: 0,
  };
}

function answers() {
  const readings = [reading(0, 0), reading(1000, 123_456)];
  return {
    list: async () => [web, made],
    inspect: async (name: string) => ({Id: name === 'made' ? made.id : web.id}) as ContainerInspect,
    readStats: async () => readings.shift(),
  };
}

test('stats are the columns and units of docker stats', async t => {
  const {stdout} = await command(['stats', '--no-stream'], answers());
  t.is(
    stdout,
    'CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O     BLOCK I/O     PIDS\n' +
      '43a81889b58c   web       12.35%    768KiB / 64MiB      1.17%     656B / 0B   1.23MB / 0B   3\n',
  );
});

test('a format, all containers, whole ids', async t => {
  const format = ['--format', '{{.Container}} {{.ID}} {{.PIDs}} {{.MemUsage}}'];
  const named = await command(['stats', '--no-stream', ...format, 'web', 'made'], answers());
  t.is(named.stdout, `web 43a81889b58c 3 768KiB / 64MiB\nmade bbbbbbbbbbbb 0 0B / 0B\n`);
  const all = await command(
    ['stats', '--no-stream', '-a', '--no-trunc', '--format', '{{.Name}} {{.ID}}'],
    answers(),
  );
  t.is(all.stdout, `web ${ID}\nmade ${made.id}\n`);
});

test('stats of what is not there are refused', async t => {
  const {exitCode, stderr} = await command(['stats', '--no-stream', 'nosuch'], {
    list: async () => [],
    inspect: () => Promise.reject(new CoracleError('ERR_CONTAINER_NOT_FOUND', 'No such container: nosuch')),
  });
  t.deepEqual([exitCode, stderr], [1, 'Error response from daemon: No such container: nosuch\n']);
});
