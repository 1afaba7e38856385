/**
 * Compiles one start of a container as the SDK would and writes it as the executor reads it, for `native/floor.c`:
 *
 *     node --import=tsx benchmarks/write-plan.ts ROOT IMAGE PLAN [OPTIONS as JSON]
 *
 * Prints the container's id, which the floor program replaces in every round. Steps of Coracle's own book-keeping
 * (`record: true`) are left out: what remains is what anybody would have to do for this isolation.
 */
import {writeFileSync} from 'node:fs';
import {encodePlan, PHASES, type Plan} from '../src/binding/index.js';
import {transientSteps} from '../src/sdk/container-files.js';
import {normalizeRunOptions} from '../src/sdk/normalize-run-options.js';
import {prepareStart} from '../src/sdk/prepare-start.js';
import {Runtime} from '../src/sdk/runtime.js';

const [root = '', image = '', path = '', options = '{}'] = process.argv.slice(2);
const runtime = await Runtime.open({root, run: `${root}-run`});
const {config, stored} = await runtime.describeContainer(image, normalizeRunOptions(JSON.parse(options)));
const record = {...config, owner: runtime.owner()};
const places = runtime.livePlacesOf(record);
const {plan} = prepareStart(runtime.facts, {
  config,
  image: stored,
  baseLayer: runtime.baseLayer,
  places,
  transient: true,
  volumePath: name => runtime.volumePath(name),
  bookkeeping: transientSteps(record, places),
  extraEnv: [],
});
writeFileSync(path, encodePlan(withoutRecords(plan)));
console.log(config.id);
await runtime.close();

function withoutRecords(whole: Plan): Plan {
  const kept = PHASES.map(phase => [phase, whole[phase].filter(step => !step.record)]);
  return Object.fromEntries(kept) as Record<keyof Plan, Plan[keyof Plan]>;
}
