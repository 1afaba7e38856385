// `npm test`: builds, lints, checks types, runs every test and ends with one line that counts them.
// `--long` (npm run test:full) adds the long runs (CORACLE_TEST_LONG=1) and the suites in virtual machines, test/vm/.
// Other arguments go to ava: `npm test -- test/sdk/run.test.ts` or `npm test -- --match='*deadline*'`.
import {spawn} from 'node:child_process';
import {existsSync, readdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {COMPILED, compileTests} from './compile-tests.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const long = process.argv.includes('--long');
const forAva = process.argv.slice(2).filter(argument => argument !== '--long');
const tool = name => join(root, 'node_modules', '.bin', name);

await run('build', process.execPath, ['scripts/build.mjs']);
await run('lint', tool('biome'), ['check', '--error-on-warnings', '.']);
await run('types', tool('tsc'), ['--noEmit', '-p', '.']);
await compileTests();
const counts = await runTests();
if (long) for (const script of virtualMachineScripts()) await runInVirtualMachine(script, counts);

const {passed, failed, skipped, failures} = counts;
if (failures.length > 0) console.log(`# what failed\n${failures.join('\n')}`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

/** Runs one command in the project's folder; its failure ends everything, since what follows would only repeat it. */
async function run(step, command, commandArguments) {
  console.log(`# ${step}`);
  const child = spawn(command, commandArguments, {cwd: root, stdio: ['ignore', 'inherit', 'inherit']});
  const outcome = await ended(child);
  if (outcome === 0) return;
  console.error(`${step} failed (${outcome}); no tests were run after it`);
  console.log('0 passed, 1 failed');
  process.exit(1);
}

/** The exit code, or what kept the process from having one. */
function ended(child) {
  return new Promise(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
}

/**
 * Runs ava, prints a line for each test and the details of each failure, and counts: TAP version 13.
 * Failures are kept with their details, to be repeated at the end, where people and logs that are cut short show them.
 */
async function runTests() {
  console.log(long ? '# tests, long runs included' : '# tests');
  // A test is named by its source; what runs is made of it.
  const named = forAva.map(argument =>
    /^test\/.*\.ts$/.test(argument) ? `${COMPILED}/${argument.slice(0, -3)}.js` : argument,
  );
  const child = spawn(tool('ava'), ['--tap', '--config', 'ava.compiled.config.js', ...named], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {...process.env, ...(long ? {CORACLE_TEST_LONG: '1'} : {})},
  });
  const finished = ended(child);
  const counts = {passed: 0, failed: 0, skipped: 0, failures: []};
  let detailsOfFailure = false;
  let isWhole = false;
  for await (const line of createInterface({input: child.stdout})) {
    const [, not, title, directive] = /^(not )?ok \d+ - (.*?)(?: # (SKIP|TODO)\b.*)?$/.exec(line) ?? [];
    if (title === undefined) {
      if (/^1\.\.\d+$/.test(line)) isWhole = true; // the plan comes last
      // Details of a failure and messages of a test are indented; the plan and totals at the end are not.
      if (!/^(# )? {2}/.test(line)) continue;
      console.log(line);
      if (detailsOfFailure) counts.failures.push(line);
      continue;
    }
    detailsOfFailure = not !== undefined && directive === undefined;
    if (directive !== undefined) {
      counts.skipped += 1;
      console.log(`- ${title} (skipped)`);
    } else if (not !== undefined) {
      counts.failed += 1;
      counts.failures.push(`✖ ${title}`);
      console.log(`✖ ${title}`);
    } else {
      counts.passed += 1;
      console.log(`✔ ${title}`);
    }
  }
  const outcome = await finished;
  if (!isWhole) {
    console.error(`ava ended with ${outcome} before it had run everything`);
    counts.failed += 1;
    counts.failures.push('✖ whatever ava had not run when it ended');
  } else if (outcome !== 0 && counts.failed === 0) {
    console.error(`ava ended with ${outcome} although no test failed`);
    counts.failed = 1;
  }
  return counts;
}

/** Each script boots a machine and runs a suite in it; it counts as one test. Exit code 77 means skipped, as in automake. */
async function runInVirtualMachine(script, counts) {
  console.log(`# ${script}`);
  const outcome = await ended(
    spawn(join(root, script), [], {cwd: root, stdio: ['ignore', 'inherit', 'inherit']}),
  );
  if (outcome === 77) {
    counts.skipped += 1;
    console.log(`- ${script} (skipped)`);
  } else {
    counts[outcome === 0 ? 'passed' : 'failed'] += 1;
    if (outcome !== 0) counts.failures.push(`✖ ${script} (${outcome})`);
    console.log(outcome === 0 ? `✔ ${script}` : counts.failures.at(-1));
  }
}

function virtualMachineScripts() {
  const folder = join(root, 'test', 'vm');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(name => name.endsWith('.sh'))
    .sort()
    .map(name => join('test', 'vm', name));
}
