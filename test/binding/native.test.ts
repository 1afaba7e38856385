import {execFile, execFileSync} from 'node:child_process';
import {cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {checked, checkKernel, errnoName} from '../../src/binding/native.js';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

test('kernels from 5.15 on are taken', t => {
  for (const release of ['5.15.0', '5.15.0-91-generic', '6.1.0-18-amd64', '6.18', '10.0.0']) {
    t.notThrows(() => checkKernel(release), release);
  }
});

test('an older kernel is refused, saying which one is needed and who has it', t => {
  for (const release of ['5.14.21', '5.4.0-150-generic', '4.19.0', '3.10.0-1160.el7']) {
    t.like(
      t.throws(() => checkKernel(release)),
      {
        code: 'ERR_KERNEL_TOO_OLD',
        message: `Linux ${release} is too old: Coracle needs 5.15 or newer`,
        hint: 'Debian 12, Ubuntu 22.04 and every later release have a newer kernel.',
      },
    );
  }
});

test('what the kernel refused names the stage, the error and the subject', t => {
  const error = t.throws(() => checked(-2, 'open', '/nope'));
  t.like(error, {code: 'ERR_NATIVE', stage: 'open', errno: 'ENOENT', subject: '/nope'});
  t.is(checked(7, 'open', '/there'), 7);
  t.is(errnoName(-132), 'errno 132'); // ERFKILL: Node has no name for it
});

interface Refusal {
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}

/** What loading the core says in a package whose native/ is the test's own. @param prelude statements that come first */
async function loadIn(t: ExecutionContext, files: Record<string, string>, prelude = ''): Promise<Refusal> {
  const root = mkdtempSync(join(tmpdir(), 'coracle-package-'));
  t.teardown(() => rmSync(root, {recursive: true, force: true}));
  for (const path of ['package.json', 'src/errors.ts', 'src/binding']) {
    cpSync(join(PROJECT, path), join(root, path), {recursive: true});
  }
  symlinkSync(join(PROJECT, 'node_modules'), join(root, 'node_modules'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), {recursive: true});
    if (path.endsWith('.so') && content !== '') compileLibrary(join(root, path), content);
    else writeFileSync(join(root, path), content);
  }
  const script = `
    const {requireCore} = await import(${JSON.stringify(join(root, 'src/binding/native.ts'))});
    ${prelude}
    try {
      requireCore();
      console.log('{}');
    } catch ({code, message, hint}) {
      console.log(JSON.stringify({code, message: message.replaceAll(${JSON.stringify(root)}, ''), hint}));
    }`;
  const argv = ['--import=tsx', '--input-type=module', '-e', script];
  const {stdout} = await promisify(execFile)(process.execPath, argv, {cwd: PROJECT});
  return JSON.parse(stdout);
}

function compileLibrary(path: string, source: string): void {
  execFileSync('gcc', ['-shared', '-fPIC', '-o', path, '-x', 'c', '-'], {input: source});
}

const ON_MUSL = 'process.report.getReport = () => ({header: {}});';
const [PACKAGE, ARCH] = [`coracle-linux-${process.arch}`, process.arch];

test('without a core in a checkout the remedy is to build it, with what that needs', async t => {
  t.deepEqual(await loadIn(t, {'native/Makefile': ''}), {
    code: 'ERR_CORE_MISSING',
    message: `the native core is missing: no libcoracle.so for ${PACKAGE}`,
    hint: 'Build it with `npm run build`; that needs gcc and make (Debian: apt-get install gcc make libc6-dev).',
  });
});

test('without a core in an installed package the remedy is the package of this platform', async t => {
  t.deepEqual(await loadIn(t, {}), {
    code: 'ERR_CORE_MISSING',
    message: `the native core is missing: no libcoracle.so for ${PACKAGE}`,
    hint: `Install it with \`npm install ${PACKAGE}\`; npm leaves it out with --omit=optional.`,
  });
});

test('on musl without a core the remedy says that there is no prebuilt one', async t => {
  const {code, hint} = await loadIn(t, {}, ON_MUSL);
  t.is(code, 'ERR_CORE_MISSING');
  t.regex(
    hint ?? '',
    /^This Node runs on musl libc \(Alpine\), for which there is no prebuilt core: build it/,
  );
});

test('a core that this libc cannot load is named, on musl with its reason', async t => {
  const broken = {'native/build/libcoracle.so': ''};
  const message = 'the native core /native/build/libcoracle.so cannot be loaded';
  t.deepEqual(await loadIn(t, broken), {
    code: 'ERR_CORE_MISSING',
    message,
    hint: 'Rebuild it with `npm run build` (needs gcc and make).',
  });
  const onMusl = await loadIn(t, broken, ON_MUSL);
  t.is(onMusl.message, message);
  t.regex(onMusl.hint ?? '', /^This Node runs on musl libc/);
});

test('a core of another version is refused, naming both', async t => {
  const refusal = await loadIn(t, {'native/build/libcoracle.so': 'int ct_abi(void) { return 99; }'});
  t.is(refusal.code, 'ERR_CORE_MISMATCH');
  t.regex(refusal.message ?? '', /^\/native\/build\/libcoracle\.so speaks version 99, this SDK version \d+$/);
  t.regex(refusal.hint ?? '', /^Rebuild it with `npm run build`, or install the same version of coracle/);
});

test('a library that is no core of ours is refused', async t => {
  const refusal = await loadIn(t, {'native/build/libcoracle.so': 'int other(void) { return 1; }'});
  t.is(refusal.code, 'ERR_CORE_MISMATCH');
  t.regex(refusal.message ?? '', /^\/native\/build\/libcoracle\.so is no core of Coracle's$/);
});

test('on another system or processor containers are refused before anything is looked for', async t => {
  for (const [name, value] of [
    ['platform', 'darwin'],
    ['platform', 'win32'],
    ['arch', 'riscv64'],
  ] as const) {
    const change = `Object.defineProperty(process, '${name}', {value: '${value}'});`;
    const [system, processor] = name === 'platform' ? [value, ARCH] : ['linux', value];
    t.deepEqual(await loadIn(t, {}, change), {
      code: 'ERR_UNSUPPORTED_PLATFORM',
      message: `containers need Linux on x86-64 or arm64; this is ${system} on ${processor}`,
      hint: '`coracle/inspect` and `ts-inspect --input` work here. For containers use a Linux host or VM.',
    });
  }
});
