/**
 * A dockerd of the benchmark's own: in its own network and mount namespaces, with its own store, so that neither it nor
 * another dockerd of the host touches the other's bridge, firewall rules or images.
 */
import {execFileSync, spawn} from 'node:child_process';
import {mkdirSync, openSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';

const START = `ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
folder=$1
shift
exec dockerd --data-root "$folder/data" --exec-root "$folder/exec" --host "unix://$folder/socket" --pidfile "$folder/pid" "$@"`;

export class DockerDaemon implements AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  readonly #child;
  readonly #ended: Promise<unknown>;

  /** Resolves when it answers. @param flags more of them, of dockerd */
  static async start(folder: string, flags: readonly string[] = []): Promise<DockerDaemon> {
    const daemon = new DockerDaemon(join(folder, 'docker'), flags);
    for (let tries = 0; ; tries++) {
      try {
        daemon.docker('version');
        return daemon;
      } catch (error) {
        if (tries === 100) {
          await daemon[Symbol.asyncDispose]();
          throw error;
        }
        await sleep(100);
      }
    }
  }

  private constructor(folder: string, flags: readonly string[]) {
    mkdirSync(folder);
    const log = openSync(join(folder, 'log'), 'w');
    this.env = {DOCKER_HOST: `unix://${folder}/socket`};
    const namespaces = ['--net', '--mount', '--propagation', 'private'];
    this.#child = spawn('unshare', [...namespaces, 'sh', '-ec', START, 'sh', folder, ...flags], {
      stdio: ['ignore', log, log],
    });
    this.#ended = new Promise(resolve => this.#child.once('exit', resolve));
  }

  /** It execs: the same from `unshare` on. */
  get pid(): number {
    return this.#child.pid!;
  }

  docker(...args: string[]): string {
    return execFileSync('docker', args, {
      env: {...process.env, ...this.env},
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}
