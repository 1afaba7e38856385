import {once} from 'node:events';
import {existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {RunResult} from '../../../../src/sidecar/index.js';
import type {Clock} from '../../../../src/sidecar/jobs/schedule/clock.js';
import {logResult} from '../../../../src/sidecar/jobs/schedule/results-log.js';
import type {Done} from '../../../../src/sidecar/jobs/schedule/run-job.js';
import {runSchedule, type ScheduleEvent} from '../../../../src/sidecar/jobs/schedule/run-schedule.js';
import {type Job, parseScheduleConfig} from '../../../../src/sidecar/jobs/schedule/schedule-config.js';
import {ownRuntime} from '../../../helpers/own-runtime.js';
import {asRoot} from '../../../helpers/requires.js';

const own = ownRuntime();

/** Time that passes when the test says so. */
class TestClock implements Clock {
  #now: number;
  readonly #sleepers = new Set<{readonly time: number; readonly wake: () => void}>();
  #asleep = () => {};

  constructor(time: string) {
    this.#now = Date.parse(time);
  }

  now(): number {
    return this.#now;
  }

  async until(time: number, signal: AbortSignal): Promise<void> {
    if (time <= this.#now || signal.aborted) return;
    const {promise, resolve} = promiseWithResolvers();
    const sleeper = {time, wake: resolve};
    this.#sleepers.add(sleeper);
    signal.addEventListener('abort', resolve, {once: true});
    this.#asleep();
    await promise;
    this.#sleepers.delete(sleeper);
  }

  /** So many wait for this clock, and nobody does anything else. */
  async resting(count = 1): Promise<void> {
    while (this.#sleepers.size < count) {
      const {promise, resolve} = promiseWithResolvers();
      this.#asleep = resolve;
      await promise;
    }
  }

  async advanceTo(time: string, sleepers = 1): Promise<void> {
    await this.resting(sleepers);
    this.#now = Date.parse(time);
    for (const sleeper of [...this.#sleepers])
      if (sleeper.time <= this.#now) {
        this.#sleepers.delete(sleeper);
        sleeper.wake();
      }
  }
}

function promiseWithResolvers(): {readonly promise: Promise<void>; readonly resolve: () => void} {
  let resolve = () => {};
  const promise = new Promise<void>(done => {
    resolve = done;
  });
  return {promise, resolve};
}

interface Surroundings {
  readonly clock: TestClock;
  readonly state: string;
  readonly config: string;
  readonly run?: (job: Job, signal: AbortSignal) => Promise<Partial<Done>>;
  readonly metricsFile?: string;
  readonly metricsListen?: string;
}

/** A schedule that goes on until the test ends it. */
async function start(t: ExecutionContext, {clock, state, config, run, ...options}: Surroundings) {
  const end = new AbortController();
  const events: ScheduleEvent[] = [];
  const waiting: (() => void)[] = [];
  const running = runSchedule(
    {
      config: parseScheduleConfig(config),
      state,
      clock,
      signal: end.signal,
      run: async (job, _, signal) => ({outcome: 'done', warnings: [], ...(await run?.(job, signal))}),
      onEvent: event => {
        events.push(event);
        for (const wake of waiting.splice(0)) wake();
      },
      ...options,
    },
    {runtime: await own.runtime},
  );
  const stop = async () => {
    end.abort(new Error('enough'));
    await running;
  };
  t.teardown(stop);
  const until = async <T extends ScheduleEvent>(fits: (event: ScheduleEvent) => event is T): Promise<T> => {
    for (;;) {
      const found = events.find(fits);
      if (found !== undefined) {
        events.splice(0, events.indexOf(found) + 1);
        return found;
      }
      await Promise.race([new Promise<void>(resolve => waiting.push(resolve)), running]);
    }
  };
  const finished = async () =>
    (await until((event): event is Extract<ScheduleEvent, {type: 'finished'}> => event.type === 'finished'))
      .result;
  const ofType = <K extends ScheduleEvent['type']>(type: K) =>
    until((event): event is Extract<ScheduleEvent, {type: K}> => event.type === type);
  return {finished, ofType, stop, running};
}

const folder = () => mkdtempSync(join(own.folder, 'schedule-'));
const daily = (fields: object = {}) =>
  JSON.stringify({
    jobs: {nightly: {schedule: '0 3 * * *', timezone: 'UTC', repository: '/r', volumes: ['v'], ...fields}},
  });

function results(state: string): RunResult[] {
  return readFileSync(join(state, 'results.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as RunResult);
}

asRoot('a job runs when it is due, again and again, and each result is a line of JSON', async t => {
  const [clock, state] = [new TestClock('2026-01-01T12:00:00Z'), folder()];
  const {finished, stop} = await start(t, {clock, state, config: daily()});
  for (const day of ['02', '03']) {
    await clock.advanceTo(`2026-01-${day}T03:00:00Z`);
    t.like(await finished(), {job: 'nightly', due: `2026-01-${day}T03:00:00.000Z`, caughtUp: false});
  }
  await stop();
  t.is(results(state).length, 2);
  t.like(results(state)[0], {outcome: 'done', warnings: []});
});

asRoot('what was missed while no schedule ran is made up for once', async t => {
  const state = folder();
  const first = await start(t, {clock: new TestClock('2026-01-01T12:00:00Z'), state, config: daily()});
  await first.ofType('jobs');
  await first.stop();
  const clock = new TestClock('2026-01-05T12:00:00Z');
  const second = await start(t, {clock, state, config: daily()});
  t.like(await second.finished(), {due: '2026-01-02T03:00:00.000Z', caughtUp: true});
  await clock.advanceTo('2026-01-06T03:00:00Z');
  t.like(await second.finished(), {due: '2026-01-06T03:00:00.000Z', caughtUp: false});
  await second.stop();
  t.is(results(state).length, 2);
});

asRoot('a run that the schedule did not survive is made up for once', async t => {
  const state = folder();
  const dead = {dueUntil: '2026-01-01T12:00:00.000Z', runs: {}};
  const write = (count: number) =>
    writeFileSync(
      join(state, 'state.json'),
      JSON.stringify({
        version: 1,
        jobs: {nightly: {...dead, begun: {due: '2026-01-02T03:00:00.000Z', count}}},
      }),
    );
  write(1);
  const second = await start(t, {clock: new TestClock('2026-01-02T04:00:00Z'), state, config: daily()});
  t.like(await second.finished(), {outcome: 'done', caughtUp: true});
  await second.stop();
  write(2);
  const third = await start(t, {clock: new TestClock('2026-01-02T04:00:00Z'), state, config: daily()});
  t.like(await third.finished(), {outcome: 'failed', error: {code: 'ERR_INTERRUPTED'}});
});

asRoot('a run is refused while the last one of its job goes on', async t => {
  const [clock, state] = [new TestClock('2026-01-01T12:00:00Z'), folder()];
  let end = () => {};
  const run = () => new Promise<Partial<Done>>(resolve => (end = () => resolve({snapshot: 'a'})));
  const {finished, ofType, stop} = await start(t, {clock, state, config: daily(), run});
  await clock.advanceTo('2026-01-02T03:00:00Z');
  await ofType('started');
  await clock.advanceTo('2026-01-03T03:00:00Z');
  t.like(await finished(), {outcome: 'overlapped', due: '2026-01-03T03:00:00.000Z'});
  end();
  t.like(await finished(), {outcome: 'done', due: '2026-01-02T03:00:00.000Z'});
  await stop();
  const {jobs} = JSON.parse(readFileSync(join(state, 'state.json'), 'utf8'));
  t.like(jobs.nightly, {dueUntil: '2026-01-03T03:00:00.000Z', runs: {done: 1, overlapped: 1}});
});

asRoot('as many run at once as the configuration allows, the others wait', async t => {
  const job = {schedule: '0 3 * * *', timezone: 'UTC', repository: '/r', volumes: ['v']};
  const config = JSON.stringify({parallel: 2, jobs: {a: job, b: job, c: job}});
  const [clock, state] = [new TestClock('2026-01-01T12:00:00Z'), folder()];
  const ends: (() => void)[] = [];
  const run = (_: Job, signal: AbortSignal) =>
    new Promise<Partial<Done>>(resolve => {
      ends.push(() => resolve({}));
      signal.addEventListener('abort', () => resolve({outcome: 'aborted'}));
    });
  const {ofType, finished} = await start(t, {clock, state, config, run});
  await clock.advanceTo('2026-01-02T03:00:00Z');
  t.deepEqual([(await ofType('started')).job, (await ofType('started')).job], ['a', 'b']);
  await clock.resting();
  t.is(ends.length, 2);
  ends[0]!();
  t.is((await finished()).job, 'a');
  t.is((await ofType('started')).job, 'c');
  for (const end of ends) end();
});

asRoot('ending a schedule aborts what runs; that is made up for at the next start', async t => {
  const [clock, state] = [new TestClock('2026-01-01T12:00:00Z'), folder()];
  const run = async (_: Job, signal: AbortSignal): Promise<Partial<Done>> => {
    await once(signal, 'abort');
    return {outcome: 'aborted'};
  };
  const first = await start(t, {clock, state, config: daily(), run});
  await clock.advanceTo('2026-01-02T03:00:00Z');
  await first.ofType('started');
  await first.stop();
  t.is(results(state).at(-1)!.outcome, 'aborted');
  const second = await start(t, {clock: new TestClock('2026-01-02T03:05:00Z'), state, config: daily()});
  t.like(await second.finished(), {outcome: 'done', due: '2026-01-02T03:00:00.000Z', caughtUp: true});
});

asRoot('two schedules do not share a state', async t => {
  const [clock, state] = [new TestClock('2026-01-01T12:00:00Z'), folder()];
  const {ofType} = await start(t, {clock, state, config: daily()});
  await ofType('jobs');
  const config = parseScheduleConfig(daily());
  const second = runSchedule(
    {config, state, signal: new AbortController().signal},
    {runtime: await own.runtime},
  );
  await t.throwsAsync(second, {code: 'ERR_BACKUP_RUNNING'});
});

asRoot('containers come and go with their labels', async t => {
  const [clock, state] = [new TestClock('2026-01-01T12:00:00Z'), folder()];
  const config = JSON.stringify({containers: {repository: '/r', timezone: 'UTC'}});
  const seen: Job[] = [];
  const run = async (job: Job) => {
    seen.push(job);
    return {};
  };
  const {ofType, finished} = await start(t, {clock, state, config, run});
  t.is((await ofType('jobs')).next.size, 0);
  const labels = {'coracle.backup.schedule': '0 4 * * *', 'coracle.backup.keep-last': '2'};
  const container = await own.create({name: 'labelled', command: ['true'], labels});
  const {next} = await ofType('jobs');
  t.deepEqual([...next], [['container:labelled', new Date('2026-01-02T04:00:00Z')]]);
  await clock.advanceTo('2026-01-02T04:00:00Z');
  t.is((await finished()).job, 'container:labelled');
  t.like(seen[0], {volumesFrom: ['labelled'], keep: {last: 2}, repository: '/r'});
  const bad = await own.create({
    name: 'bad',
    command: ['true'],
    labels: {...labels, 'coracle.backup.keep-last': 'x'},
  });
  t.regex((await ofType('problem')).message, /^container bad: .*must be a whole number/);
  await container.remove();
  for (let size = 1; size > 0; ) ({size} = (await ofType('jobs')).next);
  await bad.remove();
});

asRoot(
  'a hook reads the result, a webhook gets it: as JSON, again after an error, and no secret is told',
  async t => {
    const [clock, state] = [new TestClock('2026-01-01T12:00:00Z'), folder()];
    const requests: {readonly authorization: string | undefined; readonly body: string}[] = [];
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      requests.push({authorization: request.headers.authorization, body: Buffer.concat(chunks).toString()});
      response.writeHead(requests.length === 1 ? 503 : requests.length === 2 ? 200 : 403).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const {port} = server.address() as AddressInfo;
    writeFileSync(join(state, 'url'), `http://127.0.0.1:${port}/hooks/secret-token\n`);
    writeFileSync(join(state, 'authorization'), 'Bearer secret-token\n');
    const webhook = {urlFile: join(state, 'url'), authorizationFile: join(state, 'authorization')};
    const command = ['sh', '-c', `cat >${state}/hook`];
    const config = daily({onSuccess: {command, webhook}, onFailure: {command: ['false'], webhook}});
    let outcome: Done['outcome'] = 'done';
    const {finished, ofType, stop} = await start(t, {clock, state, config, run: async () => ({outcome})});
    await clock.advanceTo('2026-01-02T03:00:00Z');
    const result = await finished();
    await clock.advanceTo('2026-01-02T03:00:05Z', 2); // the second attempt
    outcome = 'failed';
    await clock.advanceTo('2026-01-03T03:00:00Z');
    await finished();
    const problems = [(await ofType('problem')).message, (await ofType('problem')).message];
    await stop();
    t.deepEqual(problems, [
      'nightly: command false: ended with code 1',
      `nightly: webhook: http://127.0.0.1:${port}: it answered 403`,
    ]);
    t.deepEqual(JSON.parse(readFileSync(join(state, 'hook'), 'utf8')), {...result});
    t.deepEqual(
      requests.map(({authorization}) => authorization),
      Array(3).fill('Bearer secret-token'),
    );
    t.deepEqual(JSON.parse(requests[1]!.body), {...result});
    for (const file of ['state.json', 'results.jsonl'])
      t.false(readFileSync(join(state, file), 'utf8').includes('secret-token'));
  },
);

asRoot('metrics are in a file and behind an address', async t => {
  const [clock, state] = [new TestClock('2026-01-01T12:00:00Z'), folder()];
  const metricsFile = join(state, 'coracle.prom');
  const options = {clock, state, config: daily(), metricsFile, metricsListen: '127.0.0.1:0'};
  const {ofType, finished, stop} = await start(t, {...options, run: async () => ({snapshot: 'a', bytes: 7})});
  const {address} = await ofType('listening');
  await clock.advanceTo('2026-01-02T03:00:00Z');
  await finished();
  await clock.resting();
  const expected = [
    'coracle_backup_runs_total{job="nightly",outcome="done"} 1',
    'coracle_backup_last_size_bytes{job="nightly"} 7',
    `coracle_backup_last_success_timestamp_seconds{job="nightly"} ${Date.parse('2026-01-02T03:00:00Z') / 1000}`,
    `coracle_backup_next_run_timestamp_seconds{job="nightly"} ${Date.parse('2026-01-03T03:00:00Z') / 1000}`,
  ];
  const answer = await fetch(`http://${address}/metrics`);
  t.is(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const text = await answer.text();
  for (const line of expected) t.true(text.split('\n').includes(line), line);
  t.is((await fetch(`http://${address}/`)).status, 404);
  await stop();
  for (const line of [...expected, 'coracle_backup_running{job="nightly"} 0'])
    t.true(readFileSync(metricsFile, 'utf8').includes(line), line);
  await t.throwsAsync(fetch(`http://${address}/metrics`));
});

asRoot('a state that is damaged is told of, and is not overwritten', async t => {
  const state = folder();
  writeFileSync(join(state, 'state.json'), '{"version":1,"jobs":{"a":{}}}');
  const config = parseScheduleConfig(daily());
  const options = {config, state, signal: new AbortController().signal};
  await t.throwsAsync(runSchedule(options, {runtime: await own.runtime}), {code: 'ERR_RECORD_DAMAGED'});
  t.is(readFileSync(join(state, 'state.json'), 'utf8'), '{"version":1,"jobs":{"a":{}}}');
});

test('results are kept in six files of a bounded size', async t => {
  const state = folder();
  const result = {job: 'a', warnings: []} as unknown as RunResult;
  for (let n = 0; n < 20; n++) await logResult(state, {...result, durationMs: n}, 100);
  t.deepEqual(
    readdirSync(state).sort(),
    ['results.jsonl', ...[1, 2, 3, 4, 5].map(number => `results.jsonl.${number}`)].sort(),
  );
  t.is(results(state).at(-1)!.durationMs, 19);
  t.false(existsSync(join(state, 'results.jsonl.6')));
});
