/**
 * Anything of ours may be killed at any moment. A program and command lines work on one store; amid it some of them, of their
 * launchers, of the monitors, of the monitors' starters and cleaners, and of the containers die by SIGKILL. Then somebody
 * opens the store: nothing is left that should not be, and what was to run again does, once.
 *
 * CORACLE_TEST_SEED repeats the choices of a run, though not the moments at which the kernel carries them out;
 * CORACLE_TEST_ROUNDS says how many rounds.
 */
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {isRunning, nameOf} from '../helpers/host-footprint.js';
import {asRoot} from '../helpers/requires.js';
import {Dice, type Finished, kill, type Started, until, World} from '../helpers/world.js';

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const ROUNDS = Number(process.env['CORACLE_TEST_ROUNDS'] ?? (LONG ? 200 : 3));
const SEED = Number(process.env['CORACLE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));

/**
 * What containers run: whoever finds another run of the same container alive says so, and each run leaves a line. The lock
 * ends with the last process that has it open.
 */
const SCRIPT = `
exec 9>"/w/lock-$(hostname)"
flock -n 9 || echo "$(hostname)" >>/w/twice
echo run >>"/w/runs-$(hostname)"
case $0 in stay) exec sleep 1000;; fail) sleep 0.02; exit 3;; *) sleep 0.02; exit 0;; esac
`;

asRoot.serial(
  `whatever is killed, the next open finds what is left and runs again what was to run (${ROUNDS} rounds)`,
  async t => {
    t.timeout(ROUNDS * 600_000); // an emulated machine takes minutes for each
    t.log(`CORACLE_TEST_SEED=${SEED}`);
    const world = await World.make();
    try {
      const rounds = new Rounds(t, world);
      await rounds.prepare();
      for (let round = 0; round < ROUNDS; round++) await rounds.play(round);
    } finally {
      await world.end();
    }
  },
);

/** Who may be killed, and how likely one of them is in a round. */
const VICTIMS: readonly (readonly [name: RegExp, likelihood: number])[] = [
  [/^coracle-super$/, 0.25],
  [/^coracle-spawn$/, 0.25],
  [/^coracle-monitor$/, 0.3],
  [/^coracle-start$/, 0.5],
  [/^coracle-clean$/, 0.4],
  [/^coracle-enter$/, 0.3],
  [/^node|^MainThread/, 0.2],
];

class Rounds {
  readonly #t: ExecutionContext;
  readonly #world: World;
  readonly #dice = new Dice(SEED);
  /** How often the two containers that nobody but the killer touches have run. */
  readonly #runs = {keeper: 0, loner: 0};
  #isLoading = false;

  constructor(t: ExecutionContext, world: World) {
    this.#t = t;
    this.#world = world;
  }

  async prepare(): Promise<void> {
    const programs = ['sh', 'flock', 'sleep', 'hostname', 'true'];
    this.#succeeded(await this.#world.cli('image', 'from-host', 'shell', ...programs));
    for (const [name, policy] of Object.entries({keeper: 'always', loner: 'no'})) {
      this.#succeeded(await this.#world.cli('run', '-d', ...this.#container(name, policy)));
    }
    await this.#assertRan({keeper: 1, loner: 1});
  }

  async play(round: number): Promise<void> {
    const dice = this.#dice;
    const program = this.#startProgram();
    const [faults, ended] = [text(program.stderr), once(program, 'close')];
    await Promise.race([once(program.stdout, 'data'), ended]);
    this.#isLoading = true;
    const lines = [1, 2].map(() => this.#keepTyping());
    const [keeperDies, lonerDies] = [dice.below(4), dice.below(4)];
    await sleep(100 + dice.below(600));
    for (let blow = dice.below(4); blow >= 0; blow--) {
      this.#strike();
      await sleep(dice.below(40));
    }
    const keeper = await this.#killOne('keeper', keeperDies);
    const loner = await this.#killOne('loner', lonerDies);
    this.#isLoading = false;
    if (dice.roll() < 0.5) for (const pid of this.#world.processes()) if (isNode(pid)) kill(pid);
    program.kill('SIGKILL');
    await ended;
    this.#t.is(await faults, '', `round ${round}: the program found`);
    for (const line of lines) await line;
    this.#succeeded(await this.#world.cli('ps', '-a'));
    let problems = await this.#world.problems();
    // One that removes itself, that was renamed, and that ended only now, leaves its second name to the next open.
    if (problems.some(problem => problem.startsWith('the stray name'))) {
      this.#succeeded(await this.#world.cli('ps', '-a'));
      problems = await this.#world.problems();
    }
    this.#t.deepEqual(problems, [], `round ${round} of CORACLE_TEST_SEED=${SEED}`);
    if (problems.length > 0) throw new Error('what follows would only repeat it');
    await this.#assertRan({keeper: keeper === 'none' ? 0 : 1, loner: 0});
    await this.#assertStates(loner);
    if (loner !== 'none') {
      this.#succeeded(await this.#world.cli('start', 'loner'));
      await this.#assertRan({keeper: 0, loner: 1});
    }
    this.#t.is(read(join(this.#world.shared, 'twice')), '', `round ${round}: ran twice at once`);
  }

  #startProgram(): Started {
    const path = fileURLToPath(new URL('../helpers/loading-program.mjs', import.meta.url));
    return this.#world.start(path, String(this.#dice.below(2 ** 31)), this.#world.shared, SCRIPT);
  }

  /** Commands, one after the other. */
  async #keepTyping(): Promise<void> {
    while (this.#isLoading) {
      const command = this.#command();
      const {stderr} = await this.#world.cli(...command);
      if (/^ {4}at |TypeError|ERR_INTERNAL/m.test(stderr)) this.#t.fail(`${command.join(' ')}: ${stderr}`);
    }
  }

  #command(): readonly string[] {
    const dice = this.#dice;
    const name = `x${dice.below(6)}`;
    const policy = dice.oneOf(['no', 'no', 'always', 'unless-stopped', 'on-failure:3']);
    return dice.oneOf([
      ['run', '-d', ...this.#container(name, policy)],
      ['run', '-d', '--rm', ...this.#container(name, 'no')],
      ['run', '--rm', ...this.#container(name, 'no', 'end')],
      ['run', ...this.#container(name, 'no', 'fail')],
      ['create', ...this.#container(name, policy)],
      ['start', name],
      ['stop', '-t', '0', name],
      ['restart', '-t', '0', name],
      ['kill', name],
      ['exec', name, 'true'],
      ['pause', name],
      ['unpause', name],
      ['rename', name, `x${dice.below(6)}`],
      ['rm', '-f', name],
      ['logs', name],
      ['ps', '-a'],
    ]);
  }

  #container(
    name: string,
    policy: string,
    what = this.#dice.oneOf(['stay', 'stay', 'end', 'fail']),
  ): string[] {
    const isTouched = name.startsWith('x');
    const options = ['--name', name, '--restart', policy, '-v', `${this.#world.shared}:/w`];
    return [...options, '--pids-limit', '16', 'shell', 'sh', '-c', SCRIPT, isTouched ? what : 'stay'];
  }

  /** Some of those that are there. */
  #strike(): void {
    const spared = ['keeper', 'loner'].map(name => this.#world.find(name)?.watcher);
    for (const pid of this.#world.processes()) {
      const likelihood = VICTIMS.find(([name]) => name.test(nameOf(pid)))?.[1] ?? 0;
      if (!spared.includes(pid) && this.#dice.roll() < likelihood) kill(pid);
    }
    for (const {name, init} of this.#world.containers()) {
      if (/^x\d/.test(name) && init !== undefined && this.#dice.roll() < 0.15) kill(init);
    }
  }

  async #killOne(name: string, choice: number): Promise<'monitor' | 'init' | 'none'> {
    const whom = (['monitor', 'init', 'none', 'monitor'] as const)[choice]!;
    const container = this.#world.find(name);
    const pid = whom === 'monitor' ? container?.watcher : container?.init;
    if (whom === 'none' || pid === undefined) return 'none';
    kill(pid);
    await until(`${name} is dead`, () => !isRunning(pid));
    return whom;
  }

  async #assertStates(loner: 'monitor' | 'init' | 'none'): Promise<void> {
    const format = '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}';
    const inspect = async (name: string) =>
      (await this.#world.cli('inspect', '--format', format, name)).stdout.trim();
    this.#t.is(await inspect('keeper'), 'running 0 true');
    const ended = {monitor: 'exited 255 false', init: 'exited 137 false', none: 'running 0 true'};
    this.#t.is(await inspect('loner'), ended[loner]);
  }

  /** So many times more than before, and no more than that. */
  async #assertRan(more: {readonly keeper: number; readonly loner: number}): Promise<void> {
    for (const name of ['keeper', 'loner'] as const) {
      this.#runs[name] += more[name];
      const {id} = this.#world.find(name)!;
      const count = () => read(join(this.#world.shared, `runs-${id.slice(0, 12)}`)).split('\n').length - 1;
      await until(`${name} runs`, () => count() >= this.#runs[name]);
      this.#t.is(count(), this.#runs[name], `runs of ${name}`);
    }
  }

  #succeeded({code, stderr}: Finished): void {
    this.#t.deepEqual({code, stderr}, {code: 0, stderr: ''});
  }
}

function isNode(pid: number): boolean {
  return /^node|^MainThread/.test(nameOf(pid));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
