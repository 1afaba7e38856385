/** The other ways to start a program in isolation, with the same payload, as whole processes. */
import {spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DockerDaemon} from './docker-daemon.js';
import type {Contender} from './interleave.js';
import {MEMORY_BYTES, PROCESSES} from './isolation.js';
import {writeBundle} from './oci-bundle.js';
import type {Payload} from './payload.js';
import {type Command, SpawnTimer} from './spawn-timer.js';

export interface Peers extends AsyncDisposable {
  readonly contenders: readonly Contender[];
  /** One sentence for each that this host does not have. */
  readonly missing: readonly string[];
}

export type PeerName = 'bwrap' | 'crun' | 'runc' | 'podman' | 'docker';

/** What to install on Debian. */
export const PACKAGES: Readonly<Record<PeerName, string>> = {
  bwrap: 'bubblewrap',
  crun: 'crun',
  runc: 'runc',
  podman: 'podman',
  docker: 'docker.io',
};

export const LIMITS = ['--memory', `${MEMORY_BYTES}`, '--pids-limit', `${PROCESSES}`];
const RUN_IMAGE = ['run', '--rm', '--network', 'none', ...LIMITS, 'benchmark-true', '/true'];

/** @param wanted those to look for; `child_process.spawn` is always there */
export async function openPeers(
  folder: string,
  payload: Payload,
  wanted: readonly PeerName[] = ['bwrap', 'crun', 'runc', 'podman', 'docker'],
): Promise<Peers> {
  const stack = new OpenedThings();
  const timer = stack.use(new SpawnTimer({cgroups: 'v1'}));
  const commands: [name: string, command: () => Command][] = [
    ['child_process.spawn', () => ({command: payload.program, args: []})],
  ];
  const missing: string[] = [];
  for (const peer of wanted) {
    if (isInstalled(peer)) commands.push([TITLES[peer], await prepare(peer, folder, payload, stack)]);
    else missing.push(`${peer} is missing: Debian package ${PACKAGES[peer]}`);
  }
  return {
    contenders: commands.map(([name, command]) => ({
      name,
      once: async () => ({lifeMs: await timer.once(command())}),
    })),
    missing,
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

const TITLES: Readonly<Record<PeerName, string>> = {
  bwrap: 'bwrap --unshare-all',
  crun: 'crun run',
  runc: 'runc run',
  podman: 'podman run',
  docker: 'docker run',
};

/** What this peer needs once, and its command. bwrap has no limits, seccomp filter or masks: it does far less. */
async function prepare(
  peer: PeerName,
  folder: string,
  payload: Payload,
  stack: OpenedThings,
): Promise<() => Command> {
  switch (peer) {
    case 'bwrap': {
      const mounts = ['--bind', payload.rootfs, '/', '--proc', '/proc', '--dev', '/dev'];
      return () => ({command: 'bwrap', args: ['--unshare-all', ...mounts, '/true']});
    }
    case 'crun':
    case 'runc': {
      const bundle = writeBundle(join(folder, peer), payload);
      const root = join(folder, `${peer}-state`);
      let lives = 0;
      return () => ({
        command: peer,
        args: ['--root', root, 'run', '--bundle', bundle, `benchmark-${process.pid}-${++lives}`],
      });
    }
    case 'docker': {
      const daemon = stack.use(await DockerDaemon.start(folder));
      daemon.docker('import', payload.tar, 'benchmark-true');
      return () => ({command: 'docker', args: RUN_IMAGE, env: daemon.env});
    }
    case 'podman': {
      const {env, store} = preparePodman(folder, payload);
      return () => ({command: 'podman', args: [...store, ...RUN_IMAGE], env});
    }
    default:
      return peer satisfies never;
  }
}

/** A store with the image in it. As root without CAP_SYS_RESOURCE its default ulimits, above the hard limit, are refused. */
export function preparePodman(folder: string, payload: Payload) {
  const configuration = join(folder, 'containers.conf');
  writeFileSync(configuration, '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:8192"]\n');
  const env = {CONTAINERS_CONF: configuration};
  const store = ['--root', join(folder, 'podman'), '--runroot', join(folder, 'podman-run')];
  const imported = spawnSync('podman', [...store, 'import', payload.tar, 'benchmark-true'], {
    env: {...process.env, ...env},
    encoding: 'utf8',
  });
  if (imported.status !== 0) throw new Error(`podman import: ${imported.stderr}`);
  return {env, store};
}

export function isInstalled(peer: PeerName): boolean {
  const programs = peer === 'docker' ? ['docker', 'dockerd'] : [peer];
  return programs.every(program => spawnSync(program, ['--version'], {stdio: 'ignore'}).status === 0);
}

/** What was opened last is closed first; Node 20 has no AsyncDisposableStack. */
export class OpenedThings implements AsyncDisposable {
  readonly #opened: AsyncDisposable[] = [];

  use<T extends AsyncDisposable>(opened: T): T {
    this.#opened.unshift(opened);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#opened.splice(0)) await each[Symbol.asyncDispose]();
  }
}
