import {type Check, Container, describeExit, diagnose, type Runtime} from '../sdk/index.js';

/** What this host can enforce; first of all whether a container starts, which is tried. */
export async function examineHost(runtime: Runtime): Promise<readonly Check[]> {
  return [await oneContainer(runtime), ...(await diagnose(runtime.facts, runtime.store))];
}

async function oneContainer(runtime: Runtime): Promise<Check> {
  const name = 'a container starts';
  const remedy = 'coracle --debug run --rm hello-world';
  try {
    const container = await Container.run('hello-world', {}, {runtime});
    const exit = await container.exit;
    if (exit.kind !== 'code' || exit.code !== 0) {
      return {name, status: 'broken', reason: `hello-world ${describeExit(exit)}`, remedy};
    }
    const reason = `hello-world was executed ${container.startMs.toFixed(1)} ms after the request`;
    return {name, status: 'yes', reason, remedy: ''};
  } catch (error) {
    const {message, hint = remedy} = error as Error & {hint?: string};
    return {name, status: 'broken', reason: message, remedy: hint};
  }
}
