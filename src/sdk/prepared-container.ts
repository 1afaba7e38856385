import {RunningContainer} from './container.js';
import type {ContainerConfig} from './container-config.js';
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
  readonly #config: ContainerConfig;
  readonly #process: PreparedProcess;
  readonly #stdin: StdinSource;

  /** @internal Use `Container.prepare`. */
  constructor(
    runtime: Runtime,
    config: ContainerConfig,
    process: PreparedProcess,
    warnings: readonly string[],
    stdin: StdinSource,
  ) {
    this.id = config.id;
    this.name = config.name;
    this.warnings = warnings;
    this.#runtime = runtime;
    this.#config = config;
    this.#process = process;
    this.#stdin = stdin;
  }

  /**
   * Lets it execute its program; once. Deadline and abort count from here.
   * @throws `ERR_COMMAND_NOT_FOUND`, `ERR_COMMAND_NOT_EXECUTABLE`, `ERR_START_FAILED`; then nothing of it is left
   */
  async start({signal}: {readonly signal?: AbortSignal} = {}): Promise<RunningContainer> {
    const process = await this.#process.start(signal);
    const facts = {transient: true, warnings: this.warnings, steps: [], signal};
    const running = new RunningContainer(this.#runtime, this.#config, process, facts);
    feedStdin(this.#stdin, running.stdin);
    return running;
  }

  /** Removes one that was not started; one that was is `RunningContainer`'s to end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.discard();
  }
}
