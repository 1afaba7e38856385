/**
 * Two command lines, a program of the SDK and a watcher of events work on one store at once. Each batch hands every slot,
 * which has a container or none, to one of the three; what they share are names, images and volumes. A model says what
 * each deed should come to, and after each batch what everybody should see: states, names, exit codes, logs, events.
 *
 * CORACLE_TEST_SEED repeats the choices of a run; CORACLE_TEST_DEEDS says how many there are.
 */
import {once} from 'node:events';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {
  ContainerModel,
  chooseDeed,
  type Deed,
  type Outcome,
  type Shared,
  sharedDeed,
} from '../helpers/container-model.js';
import {asRoot} from '../helpers/requires.js';
import {Dice, type Started, until, World} from '../helpers/world.js';

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const DEEDS = Number(process.env['CORACLE_TEST_DEEDS'] ?? (LONG ? 10_000 : 50));
const SEED = Number(process.env['CORACLE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const SLOTS = 8;
const DEEDS_IN_A_BATCH = 4;

/** Tells which run it is, in a file of its own that it keeps; ends by itself, or by a trap on TERM. */
const SCRIPT = `
trap 'echo usr1' USR1; trap 'exit 7' TERM
n=$(($(cat /n 2>/dev/null || echo 0) + 1)); echo $n >/n; echo "run $n"
[ "$0" = stay ] || exit 3
sleep 100000 & while :; do wait $!; done
`;

/** Whoever carries deeds out. */
type Actor = (deed: Deed) => Promise<Outcome>;

asRoot.serial(`everybody sees what a model says after each batch of ${DEEDS} random deeds`, async t => {
  t.timeout(Math.max(120_000, DEEDS * 1000));
  t.log(`CORACLE_TEST_SEED=${SEED}`);
  const world = await World.make();
  try {
    const made = await world.cli('image', 'from-host', 'shell', 'sh', 'cat', 'sleep');
    t.is(made.code, 0, made.stderr);
    const watcher = await watchEvents(world);
    const program = await startProgram(world);
    const cli = byCommandLine(world);
    const play = new Play(t, world, watcher, [cli, program.act, program.act, cli, program.act]);
    await play.all();
    program.end();
    watcher.end();
    t.deepEqual(await world.problems(), []);
  } finally {
    await world.end();
  }
});

class Play {
  readonly #dice = new Dice(SEED);
  readonly #slots = Array.from({length: SLOTS}, (_, slot) => new ContainerModel(slot));
  readonly #shared: Shared = {tags: new Set(), volumes: new Set()};
  readonly #ended: ContainerModel[] = [];
  readonly #t: ExecutionContext;
  readonly #world: World;
  readonly #watcher: EventWatcher;
  readonly #actors: readonly Actor[];
  #done = 0;

  constructor(t: ExecutionContext, world: World, watcher: EventWatcher, actors: readonly Actor[]) {
    this.#t = t;
    this.#world = world;
    this.#watcher = watcher;
    this.#actors = actors;
  }

  async all(): Promise<void> {
    while (this.#done < DEEDS) {
      const actors = this.#slots.map(() => this.#dice.oneOf(this.#actors));
      await Promise.all([...this.#slots.keys()].map(slot => this.#playSlot(slot, actors[slot]!)));
      await this.#playShared();
      await this.#check();
    }
    await Promise.all(
      this.#slots.map(async (model, slot) => {
        if (model.exists) await this.#carryOut(slot, this.#actors[0]!, {kind: 'removeForce', id: model.id});
      }),
    );
    for (const name of this.#shared.volumes) await this.#actors[1]!({kind: 'volumeRemove', name});
    this.#shared.volumes.clear();
    await this.#check();
  }

  async #playSlot(slot: number, actor: Actor): Promise<void> {
    for (let count = 0; count < DEEDS_IN_A_BATCH; count++) {
      await this.#carryOut(slot, actor, chooseDeed(this.#slots[slot]!, this.#dice));
    }
  }

  async #carryOut(slot: number, actor: Actor, deed: Deed): Promise<void> {
    const model = this.#slots[slot]!;
    const outcome = await actor(deed);
    this.#done++;
    const wrong = model.apply(deed, outcome);
    if (wrong !== undefined) throw new Error(`${JSON.stringify(deed)}: ${wrong}; before: ${model.history}`);
    if (model.id === '') return;
    const directory = join(this.#world.root, 'containers', model.id);
    if (model.exists) {
      const settled = () => model.isUp || !existsSync(join(directory, 'watcher'));
      await until(`${model.history}: it ends`, settled);
      await until(
        `${model.history}: it has written ${model.log}`,
        () => logOf(directory, model.id) === model.log,
      );
    } else {
      this.#t.false(existsSync(directory), model.history);
      this.#ended.push(model);
      this.#slots[slot] = new ContainerModel(slot);
    }
  }

  /** By all three at once; who comes first wins. */
  async #playShared(): Promise<void> {
    const deed = sharedDeed(this.#shared, this.#dice);
    const outcomes = await Promise.all([this.#actors[0]!(deed), this.#actors[1]!(deed)]);
    this.#done += outcomes.length;
    const outcome = JSON.stringify([deed, outcomes]);
    const successes = outcomes.filter(({error}) => error === undefined).length;
    if (deed.kind === 'tag' || deed.kind === 'volumeCreate') this.#t.is(successes, 2, outcome);
    else this.#t.true(successes >= 1, outcome);
  }

  async #check(): Promise<void> {
    const present = this.#slots.filter(({exists}) => exists);
    const listed = await this.#lines('ps', '-a', '--no-trunc', '--format', '{{.ID}} {{.Names}} {{.State}}');
    this.#t.deepEqual(
      listed,
      present.map(({id, name, status}) => `${id} ${name} ${status}`).sort(),
      'what ps lists',
    );
    if (present.length > 0) {
      const format = '{{.Id}} {{.Name}} {{.State.Status}} {{.State.ExitCode}}';
      const inspected = await this.#lines('inspect', '--format', format, ...present.map(({name}) => name));
      this.#t.deepEqual(
        inspected,
        present.map(({id, name, status, exitCode}) => `${id} /${name} ${status} ${exitCode}`).sort(),
        'what inspect says',
      );
    }
    this.#t.deepEqual(await this.#lines('volume', 'ls', '-q'), [...this.#shared.volumes].sort());
    const images = await this.#lines('image', 'ls', '--format', '{{.Repository}}');
    this.#t.deepEqual(images, ['shell', ...this.#shared.tags].sort());
    for (const model of [...present, ...this.#ended.splice(0)]) {
      const expected = model.events.toSorted().join();
      const seen = () => this.#watcher.of(model.id).toSorted().join();
      await until(`${model.history}: the events ${expected}`, () => seen().length >= expected.length);
      this.#t.is(seen(), expected, model.history);
    }
  }

  async #lines(...command: readonly string[]): Promise<string[]> {
    const {stdout, stderr, code} = await this.#world.cli(...command);
    this.#t.deepEqual({code, stderr}, {code: 0, stderr: ''}, command.join(' '));
    return stdout.split('\n').filter(Boolean).sort();
  }
}

interface EventWatcher {
  /** What happened to a container, with the exit code or the signal. */
  readonly of: (id: string) => readonly string[];
  readonly end: () => void;
}

async function watchEvents(world: World): Promise<EventWatcher> {
  const told = new Map<string, string[]>();
  const format =
    '{{.Actor.ID}} {{.Action}}{{with .Actor.Attributes.exitCode}} {{.}}{{end}}{{with .Actor.Attributes.signal}} {{.}}{{end}}';
  const child = world.startCli('events', '--filter', 'type=container', '--format', format);
  createInterface({input: child.stdout}).on('line', line => {
    const [, id = '', action = ''] = /^(\S*) (.*)$/.exec(line) ?? [];
    if (/^(attach|exec_|archive-path|extract-to-dir|prune)/.test(action)) return;
    told.set(id, [...(told.get(id) ?? []), action]);
  });
  await until('somebody watches', () => existsSync(join(world.root, 'live/events/watched')));
  return {of: id => told.get(id) ?? [], end: () => child.kill()};
}

async function startProgram(world: World): Promise<{readonly act: Actor; readonly end: () => void}> {
  const path = fileURLToPath(new URL('../helpers/acting-program.mjs', import.meta.url));
  const child: Started = world.start(path, SCRIPT);
  child.stderr.pipe(process.stderr);
  const waiting = new Map<number, (outcome: Outcome) => void>();
  const lines = createInterface({input: child.stdout});
  await once(lines, 'line');
  lines.on('line', line => {
    const {number, outcome} = JSON.parse(line) as {number: number; outcome: Outcome};
    waiting.get(number)?.(outcome);
    waiting.delete(number);
  });
  let last = 0;
  const act = (deed: Deed): Promise<Outcome> => {
    const number = ++last;
    child.stdin.write(`${JSON.stringify({number, deed})}\n`);
    return new Promise(resolve => waiting.set(number, resolve));
  };
  return {act, end: () => child.stdin.end()};
}

function byCommandLine(world: World): Actor {
  const scratch = join(world.shared, 'note');
  return async deed => {
    const place = `${scratch}-${deed.id ?? ''}`;
    if (deed.kind === 'copyIn') writeFileSync(place, deed.text ?? '');
    const {stdout, stderr, code} = await world.cli(...commandOf(deed, place));
    if (deed.kind === 'exec' && code === 5) return {value: `${stdout}${code}`};
    if (deed.kind === 'once') return {value: code};
    if (code !== 0) return {error: /already in use/.test(stderr) ? 'ERR_NAME_IN_USE' : stderr};
    switch (deed.kind) {
      case 'wait':
        return {value: Number(stdout)};
      case 'copyOut':
        return {value: readFileSync(place, 'utf8')};
      case 'prune':
        return {value: (stdout.match(/[a-f0-9]{64}/g) ?? []).join()};
      default:
        return {value: deed.kind === 'logs' ? stdout : stdout.trim()};
    }
  };
}

function commandOf(deed: Deed, place: string): readonly string[] {
  const {id = '', name = ''} = deed;
  const policy = deed.containerKind === 'again' ? 'on-failure:1' : 'no';
  const options = ['--name', name, '--restart', policy, '--label', `slot=${deed.slot}`];
  const container = [...options, 'shell', 'sh', '-c', SCRIPT, deed.containerKind ?? ''];
  switch (deed.kind) {
    case 'create':
      return ['create', ...container];
    case 'run':
      return ['run', '-d', ...container];
    case 'once':
      return ['run', '--rm', 'shell', 'sh', '-c', 'exit 4'];
    case 'stop':
    case 'restart':
      return [deed.kind, '-t', '60', id];
    case 'signal':
      return ['kill', '-s', 'USR1', id];
    case 'rename':
      return ['rename', id, name];
    case 'remove':
      return ['rm', id];
    case 'removeForce':
      return ['rm', '-f', id];
    case 'prune':
      return ['container', 'prune', '-f', '--filter', `label=slot=${deed.slot}`];
    case 'exec':
      return ['exec', id, 'sh', '-c', 'echo inside; exit 5'];
    case 'copyIn':
      return ['cp', place, `${id}:/note`];
    case 'copyOut':
      return ['cp', `${id}:/note`, place];
    case 'tag':
      return ['image', 'from-host', deed.tag ?? '', 'sh', 'cat', 'sleep'];
    case 'untag':
      return ['image', 'rm', deed.tag ?? ''];
    case 'volumeCreate':
      return ['volume', 'create', name];
    case 'volumeRemove':
      return ['volume', 'rm', name];
    default:
      return [deed.kind, id];
  }
}

function logOf(directory: string, id: string): string {
  const path = join(directory, `${id}-json.log`);
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  return lines.map(line => (JSON.parse(line) as {log: string}).log).join('');
}
