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
exec dockerd --data-root "$1/data" --exec-root "$1/exec" --host "unix://$1/socket" --pidfile "$1/pid"`;

export class DockerDaemon implements AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  readonly #child;
  readonly #ended: Promise<unknown>;

  /** Resolves when it answers. */
  static async start(folder: string): Promise<DockerDaemon> {
    const daemon = new DockerDaemon(join(folder, 'docker'));
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

  private constructor(folder: string) {
    mkdirSync(folder);
    const log = openSync(join(folder, 'log'), 'w');
    this.env = {DOCKER_HOST: `unix://${folder}/socket`};
    const namespaces = ['--net', '--mount', '--propagation', 'private'];
    this.#child = spawn('unshare', [...namespaces, 'sh', '-ec', START, 'sh', folder], {
      stdio: ['ignore', log, log],
    });
    this.#ended = new Promise(resolve => this.#child.once('exit', resolve));
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
