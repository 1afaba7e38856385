/**
 * Compiles one start of a container as the SDK would and writes it as the executor reads it, for `native/floor.c`:
 *
 *     node --import=tsx benchmarks/write-plan.ts ROOT IMAGE OPTIONS PLAN [REST]
 *
 * OPTIONS are `Container.run`'s as JSON. With REST, PLAN makes the surroundings, as `Pool` does, and REST the program.
 *
 * Prints the container's id, which the floor program replaces in every round. Steps of Coracle's own book-keeping
 * (`record: true`) are left out: what remains is what anybody would have to do for this isolation.
 */
import {writeFileSync} from 'node:fs';
import {encodePlan, PHASES, type Plan} from '../src/binding/index.js';
import {transientSteps} from '../src/sdk/container-files.js';
import {normalizeRunOptions} from '../src/sdk/normalize-run-options.js';
import {prepareStart, type StartPart} from '../src/sdk/prepare-start.js';
import {Runtime} from '../src/sdk/runtime.js';

const [root = '', image = '', options = '{}', path = '', restPath] = process.argv.slice(2);
const runtime = await Runtime.open({root, run: `${root}-run`, waiting: 0});
const {config, stored} = await runtime.describeContainer(image, normalizeRunOptions(JSON.parse(options)));
const record = {...config, owner: runtime.owner()};
const places = runtime.livePlacesOf(record);
write(path, restPath === undefined ? 'whole' : 'base');
if (restPath !== undefined) write(restPath, 'rest');
console.log(config.id);
await runtime.close();

function write(to: string, part: StartPart): void {
  const request = {
    config,
    image: stored,
    baseLayer: runtime.baseLayer,
    places,
    transient: true,
    waits: part === 'whole' ? 'never' : 'before the program',
    volume: (name: string) => runtime.volume(name),
    bookkeeping: transientSteps(places, JSON.stringify(record)),
    networksDirectory: runtime.networks.liveDirectory,
    extraEnv: [],
  } as const;
  writeFileSync(to, encodePlan(withoutRecords(prepareStart(runtime.facts, request, part).plan)));
}

function withoutRecords(whole: Plan): Plan {
  const kept = PHASES.map(phase => [phase, whole[phase].filter(step => !step.record)]);
  return Object.fromEntries(kept) as Record<keyof Plan, Plan[keyof Plan]>;
}
