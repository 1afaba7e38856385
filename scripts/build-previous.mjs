// Builds the previous release (test/previous-release.json) into a directory, from this repository's history:
//     node scripts/build-previous.mjs DIRECTORY
// Its monitors may run when this version is installed; test/sdk/previous-release.test.ts drives some. Kept as a commit,
// it costs nothing: the sources come from git, the dependencies are the present ones. `--check` says whether that
// commit is there. When a version was published, its tag's commit goes into test/previous-release.json.
import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, symlinkSync} from 'node:fs';
import {dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const {commit} = JSON.parse(readFileSync(join(root, 'test', 'previous-release.json'), 'utf8'));

if (process.argv.includes('--check')) {
  const {status} = spawnSync('git', ['-C', root, 'cat-file', '-e', `${commit}^{commit}`], {stdio: 'ignore'});
  process.exit(status ?? 1);
}

const directory = resolve(process.argv[2] ?? '.');
mkdirSync(directory, {recursive: true});
const archive = spawnSync('git', ['-C', root, 'archive', commit], {maxBuffer: 2 ** 28});
if (archive.status !== 0) stop(`git archive ${commit}: ${archive.stderr}`);
run('tar', ['-x', '-C', directory], {input: archive.stdout});
symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
run(process.execPath, [join(directory, 'scripts', 'build.mjs')], {cwd: directory});

function run(command, commandArguments, options) {
  const {status, error} = spawnSync(command, commandArguments, {
    stdio: ['pipe', 'inherit', 'inherit'],
    ...options,
  });
  if (status !== 0) stop(`${command} failed: ${error?.message ?? status}`);
}

function stop(message) {
  console.error(message);
  process.exit(1);
}
