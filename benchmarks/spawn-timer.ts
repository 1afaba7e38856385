/** The client of `spawn-timer.mjs`. */
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A view without cgroup v2: crun and podman refuse hosts that have v1 controllers beside a v2 tree which still owns one.
 * Private to this process; nothing on the host changes.
 */
const V1_VIEW = `set -e
d=$(mktemp -d); mount --rbind /sys/fs/cgroup $d
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for c in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do
  if [ -d $d/$c ]; then mkdir /sys/fs/cgroup/$c; mount --bind $d/$c /sys/fs/cgroup/$c; fi
done
umount -R -l $d; rmdir $d
exec "$@"`;

export class SpawnTimer implements AsyncDisposable {
  readonly #child;
  readonly #lines;
  readonly #ended: Promise<unknown>;

  /** @param cgroups 'v1' hides the v2 tree of a host that has both */
  constructor({cgroups}: {readonly cgroups: 'as they are' | 'v1'}) {
    const program = [process.execPath, fileURLToPath(new URL('spawn-timer.mjs', import.meta.url))];
    const hybrid =
      cgroups === 'v1' && existsSync('/sys/fs/cgroup/memory') && existsSync('/sys/fs/cgroup/unified');
    const [command = '', ...args] = hybrid
      ? ['unshare', '-m', '--propagation', 'private', 'sh', '-c', V1_VIEW, 'sh', ...program]
      : program;
    this.#child = spawn(command, args, {stdio: ['pipe', 'pipe', 'inherit']});
    this.#ended = new Promise(resolve => this.#child.once('exit', resolve));
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** Milliseconds from spawn to exit with 0; throws otherwise. */
  async once(command: Command): Promise<number> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    const {value, done} = await this.#lines.next();
    if (done) throw new Error('the spawn timer ended');
    const {ms, error} = JSON.parse(value) as {ms?: number; error?: string};
    if (ms === undefined) throw new Error(`${command.command} ${command.args.join(' ')}: ${error}`);
    return ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
