// Compares this engine with the docker command line (28.2, built with Go 1.24) on random templates, by a stand-in
// engine that serves the documents: the typed attempt on Docker's own structs, the raw attempt after it, and what
// Go 1.22 to 1.24 brought.
//
//   npm run build && node test/conformance/fuzz-docker.mjs [--docker PATH] [--seed N] [--count N] [--show N]
//
// A process of docker's per template, about ten a second. Exits with 1 if there is a difference.
import {spawn} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {compileInspect, formatList} from '../../dist/inspect.js';
import {ANSWERS, LISTS, listTemplate, ROW_FORMAT} from './docker-lists.mjs';
import {typedTemplates} from './docker-templates.mjs';
import {generator} from './generate.mjs';
import {startEngine} from './stand-in-engine.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const samples = join(here, '../inspect/conformance');
/** Ends each object's output: none of the templates prints it. */
const END = '\u0001';
const KINDS = {container: 'containers', image: 'images', volume: 'volumes', network: 'networks'};

const {values} = parseArgs({
  options: {
    docker: {type: 'string', default: 'docker'},
    seed: {type: 'string', default: String(Date.now() % 1e9)},
    count: {type: 'string', default: '500'},
    show: {type: 'string', default: '20'},
    only: {type: 'string', default: 'raw,typed,list'},
  },
});

async function main({docker, seed, count, show, only}) {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-fuzz-'));
  const socket = join(folder, 'engine.sock');
  const objects = new Map();
  const engine = await startEngine(socket, objects, ANSWERS);
  let differences = 0;
  let compared = 0;
  try {
    const runs = [
      ...(only.includes('typed') ? typedRuns(seed, count, objects) : []),
      ...(only.includes('list') ? await listRuns(seed, count, (...args) => run(docker, socket, args)) : []),
      ...(only.includes('raw') ? rawRuns(seed, count, objects) : []),
    ];
    const work = async () => {
      for (let question = runs.pop(); question !== undefined; question = runs.pop()) {
        const theirs = await run(docker, socket, question.args);
        const ours = question.answer(objects);
        compared += question.names.length;
        if (isSame(theirs, ours)) continue;
        if (++differences <= show) report(question, theirs, ours);
      }
    };
    await Promise.all([work(), work()]);
  } finally {
    await engine.close();
    rmSync(folder, {recursive: true});
  }
  console.log(`seed ${seed}: ${compared} answers compared, ${differences} templates with a difference`);
  return differences === 0 ? 0 : 1;
}

/** Recorded objects of each kind, and templates made of what they and Docker's types have. */
function typedRuns(seed, count, objects) {
  const runs = [];
  for (const kind of Object.keys(KINDS)) {
    const names = [];
    for (const file of readdirSync(join(samples, 'data'))) {
      if (!file.startsWith(`${kind}-`)) continue;
      const name = file.slice(kind.length + 1, -'.json'.length);
      names.push(name);
      objects.set(`${KINDS[kind]}/${name}`, readFileSync(join(samples, 'data', file), 'utf8').trim());
    }
    const documents = names.map(name => objects.get(`${KINDS[kind]}/${name}`));
    for (const template of typedTemplates(generator(seed), kind, documents, count)) {
      runs.push(inspection(kind, names, template + END));
    }
  }
  return runs;
}

/** Volumes with fields that Docker's type does not have: the templates fail on it and start over on the raw JSON. */
function rawRuns(seed, count, objects) {
  const random = generator(seed);
  const documents = Array.from({length: 6}, () => random.document()).map((text, i) => [
    `raw${i}`,
    asVolume(text),
  ]);
  for (const [name, text] of documents) objects.set(`volumes/${name}`, text);
  const names = documents.map(([name]) => name);
  const templates = readFileSync(join(samples, 'cases/exec.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line).template)
    .filter(template => template.length < 2000);
  return Array.from({length: count}, () => {
    let template = random.chance(0.75) ? random.template() : random.pick(templates);
    if (random.chance(0.25)) template = random.mutate(template, random.pick(templates));
    // A command line cannot hold NUL.
    return inspection('volume', names, `{{.untyped}}${template.replaceAll('\u0000', '?')}${END}`);
  });
}

function asVolume(text) {
  const isObject = text.startsWith('{') && text !== '{}';
  const inside = isObject ? `,${text.slice(1).replaceAll('"Name":', '"Nome":')}` : '}';
  return `{"untyped":""${inside}`;
}

const inspection = (kind, names, template) => ({
  kind,
  names,
  template,
  args: ['inspect', '--type', kind, '--format', template, ...names],
  answer: objects => answers({kind, names, template}, objects),
});

/** Rows as docker itself gives them in JSON, under random formats. */
async function listRuns(seed, count, runDocker, only = []) {
  const random = generator(seed);
  const runs = [];
  for (const [kind, {args, path, labels}] of Object.entries(LISTS)) {
    if (only.length > 0 && !only.includes(kind)) continue;
    const listed = await runDocker(...args, '--format', ROW_FORMAT);
    const rows = listed.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    const answer = JSON.parse(ANSWERS.get(path));
    const sources = answer.Volumes ?? answer;
    // `docker ps` lists the newest first, `network ls` by name.
    const named = rows.map(row =>
      sources.find(({Id, Name}) => (row.ID && Id ? Id.startsWith(row.ID) : Name === row.Name)),
    );
    for (let i = 0; i < count; i++) {
      const template = listTemplate(random, Object.keys(rows[0])).replaceAll('\u0000', '?');
      runs.push({
        kind: `${kind} list`,
        names: [kind],
        template,
        args: [...args, '--format', template],
        answer: () =>
          listAnswer(
            kind,
            rows,
            template,
            named.map(source => source && labels(source)),
          ),
      });
    }
  }
  return runs;
}

function listAnswer(kind, rows, template, labels) {
  try {
    return {stdout: formatList(kind, rows, template, {labels}), stderr: ''};
  } catch (error) {
    return {stdout: '', stderr: error.message};
  }
}

function run(docker, socket, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(docker, args, {
      env: {PATH: process.env.PATH, DOCKER_HOST: `unix://${socket}`, HOME: dirname(socket), TZ: 'UTC'},
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out = {stdout: [], stderr: []};
    child.stdout.on('data', chunk => out.stdout.push(chunk));
    child.stderr.on('data', chunk => out.stderr.push(chunk));
    child.on('error', reject);
    child.on('close', exitCode =>
      resolve({
        stdout: Buffer.concat(out.stdout).toString(),
        stderr: Buffer.concat(out.stderr).toString().trimEnd(),
        exitCode,
      }),
    );
  });
}

function answers({kind, names, template}, objects) {
  let stdout = '';
  const errors = [];
  try {
    const render = compileInspect(template, {oneCommand: true});
    for (const name of names) {
      try {
        stdout += `${render(kind, objects.get(`${KINDS[kind]}/${name}`))}\n`;
      } catch (error) {
        errors.push(`template parsing error: ${error.message}`);
      }
    }
  } catch (error) {
    errors.push(`template parsing error: ${error.message}`);
  }
  return {stdout, stderr: errors.join('\n')};
}

/** Docker prints an empty line for no output at all, and nothing where the template does not parse. */
function isSame(theirs, ours) {
  if (/0xc000|c000/i.test(theirs.stdout + theirs.stderr)) return true;
  return theirs.stderr === ours.stderr.trimEnd() && theirs.stdout.replace(/^\n$/, '') === ours.stdout;
}

function report({kind, template, names}, theirs, ours) {
  console.log(`${kind} ${JSON.stringify(template)} (${names.join(' ')})`);
  const [a, b] = [theirs, ours].map(({stdout, stderr}) => [
    ...stdout.split(END),
    ...stderr.split('\ntemplate parsing'),
  ]);
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (a[i] !== b[i]) {
      console.log(`  docker ${JSON.stringify(a[i])}\n  ours   ${JSON.stringify(b[i])}`);
      break;
    }
  }
}
process.exitCode = await main({
  ...values,
  seed: Number(values.seed),
  count: Number(values.count),
  show: Number(values.show),
});
