// `npm run pack`: the published form, in packed/. One package of JavaScript, and one package per platform with what
// gcc makes of native/. They need neither a compiler nor an install script: npm picks the platform by `os` and `cpu`.
import {spawnSync} from 'node:child_process';
import {chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const packed = join(root, 'packed');

/** `arch` as Node names it. A core for another machine needs its cross compiler; without one it is left out. */
const platforms = [
  {arch: 'x64', compiler: 'x86_64-linux-gnu-gcc', debianPackage: 'gcc-x86-64-linux-gnu'},
  {arch: 'arm64', compiler: 'aarch64-linux-gnu-gcc', debianPackage: 'gcc-aarch64-linux-gnu'},
];
const coreFiles = ['libcoracle.so', 'coracle-launcher', 'coracle-init', 'coracle-watch', 'hello'];

run(process.execPath, ['scripts/build.mjs']);
rmSync(join(root, 'dist', 'types'), {recursive: true, force: true});
run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.types.json']);
rmSync(packed, {recursive: true, force: true});
mkdirSync(packed);
for (const platform of platforms) packPlatform(platform);
packJavaScript();

function packJavaScript() {
  const {devDependencies, scripts, allowScripts, ...published} = manifest;
  // Bundled libraries are inside dist/ already, their licences beside them: only koffi is left to install.
  published.dependencies = {koffi: manifest.dependencies.koffi};
  published.optionalDependencies = Object.fromEntries(
    platforms.map(({arch}) => [platformPackage(arch), manifest.version]),
  );
  npmPack(published, folder => {
    for (const entry of manifest.files) cpSync(join(root, entry), join(folder, entry), {recursive: true});
  });
}

function packPlatform({arch, compiler, debianPackage}) {
  const isOwn = arch === process.arch;
  const out = isOwn ? 'build' : `build/${arch}`;
  if (!isOwn) {
    if (spawnSync(compiler, ['--version']).status !== 0) {
      console.error(`${platformPackage(arch)} is left out: it needs ${compiler} (Debian: ${debianPackage})`);
      return;
    }
    run('make', ['--silent', '-C', 'native', `CC=${compiler}`, `OUT=${out}`]);
  }
  const {version, license} = manifest;
  const published = {
    name: platformPackage(arch),
    version,
    description: `The native core of ${manifest.name} for Linux on ${arch}`,
    license,
    os: ['linux'],
    cpu: [arch],
    libc: ['glibc'], // libcoracle.so is loaded by Node and needs the same libc
    preferUnplugged: true, // Yarn: files that the kernel opens cannot stay in an archive
  };
  npmPack(published, folder => {
    for (const file of coreFiles) cpSync(join(root, 'native', out, file), join(folder, file));
    for (const file of coreFiles) chmodSync(join(folder, file), 0o755);
    cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
    writeFileSync(
      join(folder, 'README.md'),
      `# ${published.name}\n\n${published.description}. Installed by \`${manifest.name}\`; not meant to be used alone.\n`,
    );
  });
}

function platformPackage(arch) {
  return `${manifest.name}-linux-${arch}`;
}

/** Lays a package out in a folder of its own, so that npm sees the published manifest and nothing else. */
function npmPack(published, fill) {
  const folder = mkdtempSync(join(tmpdir(), 'pack-'));
  try {
    fill(folder);
    writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
    run('npm', ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', packed, folder]);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

function run(command, commandArguments) {
  const {status, error} = spawnSync(command, commandArguments, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) return;
  console.error(
    `${command} ${commandArguments.join(' ')} failed: ${error?.message ?? `exit code ${status}`}`,
  );
  process.exit(1);
}
