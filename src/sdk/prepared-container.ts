import {RunningContainer} from './container.js';
import type {ContainerRecord} from './container-files.js';
import {startEvents} from './record-events.js';
import type {StdinSource} from './run-options.js';
import type {Runtime} from './runtime.js';
import type {PreparedProcess} from './start-process.js';
import {feedStdin} from './stdin-source.js';

/** A container in which everything is done but exec. */
export class PreparedContainer implements AsyncDisposable {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** Limits that this host does not enforce, with `whenUnavailable: 'warn'`. */
  readonly warnings: readonly string[];
  readonly #runtime: Runtime;
  readonly #record: ContainerRecord;
  readonly #process: PreparedProcess;
  readonly #stdin: StdinSource;

  /** @internal Use `Container.prepare`. */
  constructor(
    runtime: Runtime,
    record: ContainerRecord,
    process: PreparedProcess,
    warnings: readonly string[],
    stdin: StdinSource,
  ) {
    this.id = record.id;
    this.name = record.name;
    this.warnings = warnings;
    this.#runtime = runtime;
    this.#record = record;
    this.#process = process;
    this.#stdin = stdin;
  }

  /**
   * Lets it execute its program; once. Deadline and abort count from here.
   * @throws `ERR_COMMAND_NOT_FOUND`, `ERR_COMMAND_NOT_EXECUTABLE`, `ERR_START_FAILED`; then nothing of it is left
   */
  async start({signal}: {readonly signal?: AbortSignal} = {}): Promise<RunningContainer> {
    const process = await this.#process.start(signal);
    const announces = this.#runtime.announces(this.#record, 'sdk');
    if (announces) this.#runtime.tell(startEvents(this.#record, {created: true}));
    const facts = {transient: true, warnings: this.warnings, steps: [], signal, announces};
    const running = new RunningContainer(this.#runtime, this.#record, process, facts);
    feedStdin(this.#stdin, running.stdin);
    return running;
  }

  /** Removes one that was not started; one that was is `RunningContainer`'s to end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.discard();
  }
}
