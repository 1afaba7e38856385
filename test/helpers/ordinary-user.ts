import {type ChildProcess, type SpawnOptions, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {accessSync, chmodSync, chownSync, constants, cpSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext, type Implementation} from 'ava';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const isRoot = process.geteuid?.() === 0;
/** Users without an account, who need none; each object is another one, so that its processes are known by their uid. */
let nextUid = 500_000_000 + process.pid * 100;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * An ordinary user with a home in a folder of the test's own. Root becomes one, anybody else is one already. What runs
 * is the built package, copied to where that user can read it.
 */
export class OrdinaryUser {
  readonly uid: number;
  readonly home: string;
  readonly #package: string;

  constructor(t: ExecutionContext) {
    this.uid = isRoot ? nextUid++ : process.geteuid!();
    this.home = mkdtempSync(join(tmpdir(), 'coracle-user-'));
    if (isRoot) chownSync(this.home, this.uid, this.uid);
    this.#package = readablePackage();
    t.teardown(() => rm(this.home, {recursive: true, force: true}));
  }

  /** Where its images and containers are. */
  get root(): string {
    return join(this.home, '.local/share/coracle');
  }

  get environment(): NodeJS.ProcessEnv {
    return {PATH: process.env['PATH'], HOME: this.home};
  }

  /** The built package's folder, for commands that somebody else is to start. */
  get package(): string {
    return this.#package;
  }

  /** The command line. */
  coracle(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.run(process.execPath, [join(this.#package, 'bin/coracle.cjs'), ...words], environment);
  }

  /** A program with the SDK in scope (`Container`, `Image`, `Runtime`, `Volume`); what it returns, as JSON tells it. */
  async script<T>(body: string): Promise<T> {
    const {code, stdout, stderr} = await this.run(process.execPath, this.#scriptWords(body));
    if (code !== 0) throw new Error(`the script ended with ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  startScript(body: string): ChildProcess {
    return this.#spawn(process.execPath, this.#scriptWords(body), {});
  }

  async run(program: string, words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const child = this.#spawn(program, words, environment);
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      once(child, 'close'),
    ]);
    return {code, stdout, stderr};
  }

  #scriptWords(body: string): string[] {
    const sdk = JSON.stringify(join(this.#package, 'dist/index.js'));
    const script = `
      import {Container, Image, Runtime, Volume} from ${sdk};
      const result = await (async () => {${body}})();
      process.stdout.write(JSON.stringify(result ?? null) + '\\n');
      await (await Runtime.default()).close();`;
    return ['--input-type=module', '-e', script];
  }

  #spawn(program: string, words: readonly string[], environment: NodeJS.ProcessEnv): ChildProcess {
    const options: SpawnOptions = {
      cwd: this.home,
      env: {...this.environment, ...environment},
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(isRoot && {uid: this.uid, gid: this.uid}),
    };
    return spawn(program, words, options);
  }
}

let copied: string | undefined;

function readablePackage(): string {
  if (copied !== undefined) return copied;
  const folder = mkdtempSync(join(tmpdir(), 'coracle-package-'));
  process.once('exit', () => rmSync(folder, {recursive: true, force: true}));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'native'));
  mkdirSync(join(folder, 'node_modules'));
  for (const path of ['package.json', 'bin', 'dist', 'native/build', 'node_modules/@koromix']) {
    // The sanitizers' programs may be in the making.
    cpSync(join(PROJECT, path), join(folder, path), {
      recursive: true,
      filter: from => !from.endsWith('/sanitize'),
    });
  }
  copied = folder;
  return folder;
}

/** `test` where ordinary users may start containers, else `test.skip`, saying what forbids it. */
export function asOrdinaryUser(title: string, implementation: Implementation<[]>): void {
  const missing = whatIsMissing();
  if (missing === undefined) test(title, implementation);
  else test.skip(`${title} (needs ${missing})`, implementation);
}

function whatIsMissing(): string | undefined {
  if (!isReadableByAll(process.execPath)) return 'a Node that other users can execute';
  const {status} = spawnSync('unshare', ['--user', 'true'], isRoot ? {uid: nextUid, gid: nextUid} : {});
  return status === 0 ? undefined : 'user namespaces for ordinary users: sysctl user.max_user_namespaces';
}

function isReadableByAll(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
  } catch {
    return false;
  }
  const {status} = spawnSync(path, ['--version'], isRoot ? {uid: nextUid, gid: nextUid} : {});
  return status === 0;
}
