import {PassThrough} from 'node:stream';
import type {World} from '../../src/cli/main.js';
import {runCommandLine} from '../../src/cli/main.js';
import type {Sdk} from '../../src/cli/sdk.js';

/** What a command asked of the SDK: the function's name and what it was given. */
export type Asked = readonly [name: keyof Sdk, ...given: readonly unknown[]];

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly asked: readonly Asked[];
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  /** stderr and stdout are a person's. */
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly now?: number;
}

/**
 * Runs one command line against an SDK that writes down what it is asked and answers with `answers`; what has no answer
 * fails the test. There are no containers in it: those are for the tests that start some.
 */
export async function command(
  argv: readonly string[],
  answers: Partial<Sdk> = {},
  {env = {}, isTTY = false, columns = 80, now = Date.parse('2026-01-01T00:00:00Z')}: Surroundings = {},
): Promise<Outcome> {
  const asked: Asked[] = [];
  const written = {stdout: '', stderr: ''};
  const output = (name: 'stdout' | 'stderr') => ({
    isTTY,
    columns,
    write: (chunk: string | Uint8Array) => {
      written[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      return true;
    },
  });
  const sdk = new Proxy({close: async () => {}, ...answers} as Sdk, {
    get(target, name: keyof Sdk) {
      // Who answers `run` answers whether or not the container is kept.
      const called = name === 'runAttached' && target[name] === undefined ? 'run' : name;
      const answer = target[called] as ((...given: unknown[]) => unknown) | undefined;
      // A promise resolves to the proxy itself, which must not look like a promise then.
      if ((name as string) === 'then') return undefined;
      return (...given: unknown[]) => {
        if (name !== 'close') asked.push([called, ...given]);
        if (answer === undefined)
          throw new Error(`the command asked for ${name}, which this test does not answer`);
        return answer(...given);
      };
    },
  });
  const world: World = {
    env,
    directory: '/here',
    stdin: Object.assign(new PassThrough(), {isTTY}),
    stdout: output('stdout'),
    stderr: output('stderr'),
    terminal: () => undefined,
    now: () => now,
    onSignal: () => () => {},
    openSdk: async () => sdk,
  };
  return {exitCode: await runCommandLine(argv, world), ...written, asked};
}
