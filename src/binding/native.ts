/**
 * Loads the native core: the only file that knows koffi and `libcoracle.so`.
 *
 * Nothing is loaded before the first call of a declared function. Families of functions declare themselves in files
 * of their own (`const mkdir = declare<…>('int ct_mkdir(…)')`). C convention: a value >= 0, or -errno.
 */
import {existsSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {constants, release} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {getSystemErrorName} from 'node:util';
import {CoracleError, NativeFailure} from '../errors.js';

/** Mirrors `CT_LIBRARY_ABI` of `native/library.h`. */
export const CORE_ABI = 8;
/** The oldest kernel with everything the core has no fallback for. */
const OLDEST_KERNEL = {major: 5, minor: 15};

/** The files of the core: the library Node loads, the launcher, the pid 1 of `--init`, what notices lost monitors for a service, and the `hello-world` image's only program. */
export type CoreFile = 'libcoracle.so' | 'coracle-launcher' | 'coracle-init' | 'coracle-watch' | 'hello';

/** What C functions take and give: numbers (64-bit ones as bigint when large), bytes, strings. */
type NativeValue = number | bigint | string | Uint8Array | null;

export interface NativeFunction<Arguments extends NativeValue[], Result> {
  (...args: Arguments): Result;
  /** Runs on a thread of libuv's pool. The buffers passed must not be touched until the promise settles. */
  async(...args: Arguments): Promise<Result>;
}

/** The part of koffi that Coracle uses; its platform addon has it without koffi's own JavaScript. */
interface Koffi {
  load(path: string): KoffiLibrary;
  address(bytes: Uint8Array): bigint;
}

interface KoffiLibrary {
  func(signature: string): KoffiFunction;
}

interface KoffiFunction {
  (...args: NativeValue[]): unknown;
  async(...args: [...NativeValue[], (error: unknown, result: unknown) => void]): void;
}

/**
 * A function of `libcoracle.so`, by its C prototype. Loading waits for the first call.
 * @throws `ERR_UNSUPPORTED_PLATFORM`, `ERR_KERNEL_TOO_OLD`, `ERR_CORE_MISSING`, `ERR_CORE_MISMATCH` at the first call
 */
export function declare<Arguments extends NativeValue[], Result = number>(
  signature: string,
): NativeFunction<Arguments, Result> {
  return bindLater(() => loadCore().func(signature));
}

/**
 * A function of a library of the system, found by its soname.
 * @throws `ERR_LIBRARY_MISSING` at the first call, naming the Debian package that has it
 */
export function declareIn<Arguments extends NativeValue[], Result = number>(
  library: SystemLibrary,
  signature: string,
): NativeFunction<Arguments, Result> {
  return bindLater(() => loadSystemLibrary(library).func(signature));
}

export interface SystemLibrary {
  /** As the dynamic linker knows it: `libzstd.so.1`. */
  readonly soname: string;
  readonly debianPackage: string;
  /** What cannot be done without it: "read layers compressed with zstd". */
  readonly neededTo: string;
}

/** Where bytes lie, for structs that hold pointers. The caller keeps the bytes alive as long as the pointer is used. */
export function addressOf(bytes: Uint8Array): bigint {
  return loadKoffi().address(bytes);
}

/** Loads the core now, so that a missing or foreign one is reported before any work is done. */
export function requireCore(): void {
  loadCore();
}

/**
 * The path of a file of the core: built in a checkout, else from the package of this platform.
 * @throws `ERR_UNSUPPORTED_PLATFORM`, `ERR_CORE_MISSING`
 */
export function coreFile(name: CoreFile): string {
  const known = corePaths.get(name);
  if (known !== undefined) return known;
  checkPlatform();
  const root = packageRoot();
  const built = root === undefined ? undefined : join(root, 'native', 'build', name);
  const found = built !== undefined && existsSync(built) ? built : inPlatformPackage(name);
  if (found === undefined) throw coreMissing(name, root);
  corePaths.set(name, found);
  return found;
}

/** Throws what the kernel said: `result` is what a function of the core returned. */
export function checked<Result extends number | bigint>(
  result: Result,
  stage: string,
  subject: string | Uint8Array,
): Result {
  if (result >= 0) return result;
  throw new NativeFailure(stage, errnoName(Number(result)), printable(subject));
}

/** `ENOENT` for -2. */
export function errnoName(negative: number): string {
  const name = getSystemErrorName(negative);
  if (!name.startsWith('Unknown')) return name;
  const known = Object.entries(constants.errno).find(([, value]) => value === -negative);
  return known?.[0] ?? `errno ${-negative}`;
}

/**
 * The directory whose package.json is Coracle's: two levels up in the sources, one in the bundle. Undefined when an
 * application has bundled Coracle into a file of its own.
 */
export function packageRoot(): string | undefined {
  if (knownRoot !== undefined) return knownRoot;
  for (let directory = dirname(fileURLToPath(import.meta.url)); ; directory = dirname(directory)) {
    if (isOurs(join(directory, 'package.json'))) {
      knownRoot = directory;
      return directory;
    }
    if (directory === dirname(directory)) return undefined;
  }
}

const corePaths = new Map<CoreFile, string>();
const systemLibraries = new Map<string, KoffiLibrary>();
const require = createRequire(import.meta.url);
let knownRoot: string | undefined;
let koffi: Koffi | undefined;
let core: KoffiLibrary | undefined;

function bindLater<Arguments extends NativeValue[], Result>(
  bind: () => KoffiFunction,
): NativeFunction<Arguments, Result> {
  let bound: KoffiFunction | undefined;
  const call = (...args: Arguments): Result => {
    bound ??= bind();
    return bound(...args) as Result;
  };
  const async = (...args: Arguments): Promise<Result> =>
    new Promise((resolve, reject) => {
      bound ??= bind();
      bound.async(...args, (error, result) => (error ? reject(error) : resolve(result as Result)));
    });
  return Object.assign(call, {async});
}

function loadCore(): KoffiLibrary {
  if (core !== undefined) return core;
  const path = coreFile('libcoracle.so');
  checkKernel(release());
  let library: KoffiLibrary;
  try {
    library = loadKoffi().load(path);
  } catch (cause) {
    throw new CoracleError('ERR_CORE_MISSING', `the native core ${path} cannot be loaded`, {
      cause,
      hint: libcIsMusl() ? MUSL_HINT : 'Rebuild it with `npm run build` (needs gcc and make).',
    });
  }
  checkAbi(library, path);
  core = library;
  return library;
}

/** @throws `ERR_CORE_MISMATCH` */
function checkAbi(library: KoffiLibrary, path: string): void {
  let abi: number | undefined;
  try {
    abi = library.func('int32_t ct_abi()')() as number;
  } catch {
    // It has no such function.
  }
  if (abi === CORE_ABI) return;
  const what =
    abi === undefined ? "is no core of Coracle's" : `speaks version ${abi}, this SDK version ${CORE_ABI}`;
  throw new CoracleError('ERR_CORE_MISMATCH', `${path} ${what}`, {
    hint: 'Rebuild it with `npm run build`, or install the same version of coracle and its platform package.',
  });
}

function loadSystemLibrary({soname, debianPackage, neededTo}: SystemLibrary): KoffiLibrary {
  const known = systemLibraries.get(soname);
  if (known !== undefined) return known;
  checkPlatform();
  let library: KoffiLibrary;
  try {
    library = loadKoffi().load(soname);
  } catch (cause) {
    throw new CoracleError('ERR_LIBRARY_MISSING', `${soname} is needed to ${neededTo} and cannot be loaded`, {
      cause,
      hint: `Install it: apt-get install ${debianPackage}`,
      details: {soname, debianPackage},
    });
  }
  systemLibraries.set(soname, library);
  return library;
}

/** The platform's addon alone loads in 1-2 ms, koffi with its JavaScript in 6-10 ms: the addon first. */
function loadKoffi(): Koffi {
  if (koffi !== undefined) return koffi;
  koffi =
    koffiFrom(() => require(ADDON)) ??
    // From koffi's own place: strict package managers show its platform packages to nobody else.
    koffiFrom(() => createRequire(require.resolve('koffi'))(ADDON)) ??
    (require('koffi') as Koffi); // musl, an own build of koffi, another layout: koffi knows the ways
  return koffi;
}

const ADDON = `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;

/** Where the addon is, for a Node elsewhere that is to find it by this name. @throws `ERR_CORE_MISSING` */
export function koffiAddon(): {readonly name: string; readonly path: string} {
  for (const from of [() => require, () => createRequire(require.resolve('koffi'))]) {
    try {
      return {name: ADDON, path: from().resolve(ADDON)};
    } catch {
      // The other place, or none.
    }
  }
  throw new CoracleError('ERR_CORE_MISSING', `there is no ${ADDON} on this host`, {
    hint: libcIsMusl()
      ? MUSL_HINT
      : 'Install it with `npm install koffi`; npm leaves it out with --omit=optional.',
  });
}

function koffiFrom(load: () => unknown): Koffi | undefined {
  try {
    const loaded = load() as Partial<Koffi>;
    return typeof loaded.load === 'function' ? (loaded as Koffi) : undefined;
  } catch {
    return undefined;
  }
}

function checkPlatform(): void {
  if (process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')) return;
  throw new CoracleError(
    'ERR_UNSUPPORTED_PLATFORM',
    `containers need Linux on x86-64 or arm64; this is ${process.platform} on ${process.arch}`,
    {hint: '`coracle/inspect` and `ts-inspect --input` work here. For containers use a Linux host or VM.'},
  );
}

/** @throws `ERR_KERNEL_TOO_OLD`; `kernel` as uname(2) gives it: "6.1.0-18-amd64". */
export function checkKernel(kernel: string): void {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  const {major: oldestMajor, minor: oldestMinor} = OLDEST_KERNEL;
  if (Number(major) > oldestMajor || (Number(major) === oldestMajor && Number(minor) >= oldestMinor)) return;
  throw new CoracleError(
    'ERR_KERNEL_TOO_OLD',
    `Linux ${kernel} is too old: Coracle needs ${oldestMajor}.${oldestMinor} or newer`,
    {hint: 'Debian 12, Ubuntu 22.04 and every later release have a newer kernel.'},
  );
}

function inPlatformPackage(name: CoreFile): string | undefined {
  try {
    const manifest = require.resolve(`${platformPackage()}/package.json`);
    const path = join(dirname(manifest), name);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined; // not installed
  }
}

function platformPackage(): string {
  return `coracle-linux-${process.arch}`;
}

const MUSL_HINT =
  'This Node runs on musl libc (Alpine), for which there is no prebuilt core: build it in a checkout with ' +
  '`npm run build` (needs gcc, make, musl-dev and linux-headers), or use a glibc-based system.';

function coreMissing(name: CoreFile, root: string | undefined): CoracleError {
  const inCheckout = root !== undefined && existsSync(join(root, 'native', 'Makefile'));
  const build =
    'Build it with `npm run build`; that needs gcc and make (Debian: apt-get install gcc make libc6-dev).';
  const install = `Install it with \`npm install ${platformPackage()}\`; npm leaves it out with --omit=optional.`;
  const hint = inCheckout ? build : libcIsMusl() ? MUSL_HINT : install;
  return new CoracleError(
    'ERR_CORE_MISSING',
    `the native core is missing: no ${name} for ${platformPackage()}`,
    {
      hint,
      details: {file: name, platformPackage: platformPackage()},
    },
  );
}

/** Only asked when loading failed: a report takes milliseconds. */
function libcIsMusl(): boolean {
  const {header} = process.report.getReport() as unknown as {header: {glibcVersionRuntime?: string}};
  return header.glibcVersionRuntime === undefined;
}

function isOurs(manifest: string): boolean {
  if (!existsSync(manifest)) return false; // without an error, which takes a program that just began 0.3 ms
  try {
    return (JSON.parse(readFileSync(manifest, 'utf8')) as {name?: unknown}).name === 'coracle';
  } catch {
    return false; // not ours to judge
  }
}

function printable(subject: string | Uint8Array): string {
  return typeof subject === 'string' ? subject : Buffer.from(subject).toString('utf8').replace(/\0$/, '');
}
