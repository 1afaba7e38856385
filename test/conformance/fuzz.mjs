// Compares this engine with real Go on random templates and documents.
//
//   npm run build && node test/conformance/fuzz.mjs [--seed N] [--count N] [--show N]
//
// Needs Debian's golang-go (1.19). What later releases of Go changed is left out of the comparison here (`CHANGED`);
// fuzz-docker.mjs asks the docker command line about those. Exits with 1 if there is a difference.
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {render} from './engine.mjs';
import {generator} from './generate.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const samples = join(here, '../inspect/conformance');
const BATCH = 5000;

const {values} = parseArgs({
  options: {
    seed: {type: 'string', default: String(Date.now() % 1e9)},
    count: {type: 'string', default: '20000'},
    show: {type: 'string', default: '20'},
  },
});
const folder = mkdtempSync(join(tmpdir(), 'coracle-fuzz-'));

function report({data, ...c}, go, ours) {
  console.log(
    `${JSON.stringify({...c, data: data.slice(0, 300)})}\n  Go   ${JSON.stringify(go)}\n  ours ${JSON.stringify(ours)}`,
  );
}

const isSame = (go, ours) => go.output === ours.output && go.error === ours.error;

/** What Go 1.24 does otherwise than Go 1.19, and what has no fixed answer. */
const CHANGED = [
  // Memory addresses.
  (go, ours) => /0xc00|c000/i.test((go.output ?? '') + (ours.output ?? '')),
  // Ranges over integers since 1.22, "else with" since 1.23.
  go => /range can't iterate over -?\d+$/.test(go.error ?? ''),
  go => go.error?.endsWith('unexpected <with> in else'),
  // With two assigned variables, 1.19 took them the wrong way round.
  (_, __, {template}) => /range\s+\$\w+\s*,\s*\$\w+\s*=/.test(template),
  // 1.22 names what `call` was given, and the lexer counts parentheses.
  (go, ours) =>
    go.error?.endsWith(/ of type .*$/.exec(ours.error ?? '')?.[0]) && go.error.includes('non-function of'),
  (go, ours) => / unexpected ".*" in /.test(go.error ?? '') && ours.error?.endsWith('unexpected right paren'),
  // %#w and %+w became Go syntax in 1.20.
  (_, __, {template}) => /%[-+# 0]*[+#][-+# 0\d.*[\]]*w/.test(template),
  // \b and \f in JSON since 1.22.
  (go, ours) =>
    go.output?.replaceAll('\\u0008', '\\b').replaceAll('\\u000c', '\\f') ===
    ours.output?.replaceAll('\\u0008', '\\b').replaceAll('\\u000c', '\\f'),
];

process.exitCode = main(Number(values.seed), Number(values.count), Number(values.show));

function main(seed, count, show) {
  try {
    const oracle = buildOracle();
    const known = recordedCases();
    let differences = 0;
    let compared = 0;
    for (let done = 0; done < count; done += BATCH) {
      const cases = generate(seed + done, Math.min(BATCH, count - done), known);
      const answers = ask(oracle, cases);
      cases.forEach((c, i) => {
        const go = answers[i];
        if (go.binary) return;
        const ours = answerOf(c);
        compared++;
        if (isSame(go, ours) || CHANGED.some(isChange => isChange(go, ours, c))) return;
        if (++differences <= show) report(c, go, ours);
      });
    }
    console.log(`seed ${seed}: ${compared} of ${count} cases compared, ${differences} differences`);
    return differences === 0 ? 0 : 1;
  } finally {
    rmSync(folder, {recursive: true});
  }
}

function buildOracle() {
  const oracle = join(folder, 'oracle');
  const {status, stderr, error} = spawnSync('go', ['build', '-o', oracle, join(here, 'oracle.go')], {
    env: {...process.env, GO111MODULE: 'off'},
  });
  if (status !== 0) throw new Error(`the oracle needs golang-go to be built: ${error?.message ?? stderr}`);
  return oracle;
}

function recordedCases() {
  const documents = readdirSync(join(samples, 'data'))
    .filter(name => name.startsWith('set-'))
    .map(name => readFileSync(join(samples, 'data', name), 'utf8').trim());
  const templates = readFileSync(join(samples, 'cases/exec.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line).template)
    .filter(template => template.length < 2000);
  return {documents, templates};
}

function generate(seed, count, {documents, templates}) {
  const random = generator(seed);
  return Array.from({length: count}, () => {
    let template = random.chance(0.75) ? random.template() : random.pick(templates);
    if (random.chance(0.25)) template = random.mutate(template, random.pick(templates));
    return {
      template,
      data: random.chance(0.6) ? random.document() : random.pick(documents),
      decode: random.pick(['number', 'number', 'float64', 'typed', 'typed']),
      missingKey: random.pick(['default', 'error', 'error', 'zero']),
    };
  });
}

function ask(oracle, cases) {
  const {status, stdout, stderr} = spawnSync(oracle, {
    input: `${cases.map(c => JSON.stringify(c)).join('\n')}\n`,
    maxBuffer: 1 << 30,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the oracle failed: ${stderr.slice(0, 2000)}`);
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}

function answerOf({template, data, decode, missingKey}) {
  try {
    const output = render(template, undefined, {mode: 'exec', dataText: data, decode, missingKey});
    return {output};
  } catch (error) {
    return {error: error.message};
  }
}
