/** Debian's docker-registry on loopback, with storage of its own. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import type {Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';

export interface RegistryOptions {
  /** Whoever asks has to be `user` with the password `secret`. */
  readonly htpasswd?: boolean;
  /** Nobody may remove manifests: its own default. */
  readonly keepsAll?: boolean;
  /** One that was killed: the same storage behind the same port. */
  readonly after?: DockerRegistry;
}

export class DockerRegistry implements AsyncDisposable {
  /** `localhost:PORT`, as references name it. */
  readonly name: string;
  readonly port: number;
  readonly folder: string;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, folder: string, port: number) {
    this.#process = process;
    // A test that fails to end it must not live on with it.
    process.unref();
    (process.stderr as Socket).unref();
    this.folder = folder;
    this.port = port;
    this.name = `localhost:${port}`;
  }

  static async start(options: RegistryOptions = {}): Promise<DockerRegistry> {
    const folder = options.after?.folder ?? mkdtempSync(join(tmpdir(), 'coracle-registry-'));
    writeFileSync(join(folder, 'htpasswd'), HTPASSWD);
    writeFileSync(join(folder, 'config.yml'), configuration(folder, options));
    const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {...process.env, OTEL_TRACES_EXPORTER: 'none'},
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const lines: string[] = [];
    for await (const line of createInterface({input: child.stderr!})) {
      lines.push(line);
      const [, port] = /listening on [^ "]*:(\d+)/.exec(line) ?? [];
      if (port === undefined) continue;
      child.stderr!.resume();
      return new DockerRegistry(child, folder, Number(port));
    }
    throw new Error(`docker-registry did not start:\n${lines.join('\n')}`);
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.ref();
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, {recursive: true, force: true});
  }
}

function configuration(folder: string, {htpasswd, keepsAll = false, after}: RegistryOptions): string {
  return JSON.stringify({
    version: 0.1,
    log: {level: 'info', accesslog: {disabled: true}},
    storage: {filesystem: {rootdirectory: join(folder, 'data')}, delete: {enabled: !keepsAll}},
    http: {addr: `127.0.0.1:${after?.port ?? 0}`}, // 0: one that is free
    ...(htpasswd && {auth: {htpasswd: {realm: 'test', path: join(folder, 'htpasswd')}}}),
  });
}

/** `secret`, by bcrypt: the only form that the registry takes. */
const HTPASSWD = 'user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';
