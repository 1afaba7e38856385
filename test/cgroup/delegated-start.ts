/** Run by kernel.test.ts as an ordinary user inside a cgroup that was delegated to it: prints what it could do there. */
import {readFileSync} from 'node:fs';
import {SlotAllocator} from '../../src/binding/steps.js';
import {detectCgroups} from '../../src/cgroup/index.js';
import {closeAll, runSteps} from './run-steps.js';

const driver = detectCgroups();
driver.prepare();
const available = driver.capabilities().flatMap(row => (row.available ? [row.controller] : []));
const limits = available.includes('pids') ? {processes: 7} : {};
const steps = driver.compile({name: 'c1', limits}, new SlotAllocator());
const run = runSteps(steps.host);
const directory = steps.directories[''];
const enabled = readFileSync(`${directory}/../cgroup.subtree_control`, 'utf8').trim();
const pidsMax = available.includes('pids') ? readFileSync(`${directory}/pids.max`, 'utf8').trim() : undefined;
closeAll(run);
runSteps(steps.teardown);
const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
console.log(JSON.stringify({layout: driver.layout, directory, enabled, pidsMax, own, available}));
