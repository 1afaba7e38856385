import {readFile} from 'node:fs/promises';
import {release} from 'node:os';
import {CAPABILITIES, Container, DOCKER_CAPABILITIES, describeExit, type Runtime} from '../sdk/index.js';
import type {DoctorCheck} from './sdk.js';

/**
 * What this host can enforce. Nothing is guessed: controllers are those that the runtime would use, and a container is
 * started to see that one starts.
 */
export async function examineHost(runtime: Runtime): Promise<readonly DoctorCheck[]> {
  return [
    await oneContainer(runtime),
    kernel(),
    privileges(runtime),
    capabilities(runtime),
    await overlay(),
    await userNamespaces(),
    ...controllers(runtime),
  ];
}

async function oneContainer(runtime: Runtime): Promise<DoctorCheck> {
  const name = 'a container starts';
  try {
    const container = await Container.run('hello-world', {}, {runtime});
    const exit = await container.exit;
    if (exit.kind === 'code' && exit.code === 0) {
      return {
        name,
        status: 'yes',
        reason: `hello-world ran ${container.startMs.toFixed(1)} ms after it was asked for`,
        remedy: '',
      };
    }
    return {
      name,
      status: 'broken',
      reason: `hello-world ${describeExit(exit)}`,
      remedy: 'coracle --debug run --rm hello-world',
    };
  } catch (error) {
    const {message, hint = 'coracle --debug run --rm hello-world'} = error as Error & {hint?: string};
    return {name, status: 'broken', reason: message, remedy: hint};
  }
}

function kernel(): DoctorCheck {
  return {name: 'kernel', status: 'yes', reason: `Linux ${release()} (5.15 or newer is needed)`, remedy: ''};
}

function privileges({facts}: Runtime): DoctorCheck {
  const name = 'root';
  if (facts.isRoot) return {name, status: 'yes', reason: 'running as root', remedy: ''};
  return {
    name,
    status: 'no',
    reason: 'running as an ordinary user: one user id inside, no limits, no host network',
    remedy: 'sudo coracle …',
  };
}

/** What Docker gives a container by default, and this process could not hand on. */
function capabilities({facts}: Runtime): DoctorCheck {
  const name = 'capabilities';
  const has = (capability: string) =>
    ((facts.capabilities >> BigInt(CAPABILITIES.indexOf(capability as never))) & 1n) === 1n;
  const missing = DOCKER_CAPABILITIES.filter(capability => !has(capability));
  const mayRaise = has('CAP_SYS_RESOURCE')
    ? ''
    : '; hard limits of --ulimit cannot be raised (CAP_SYS_RESOURCE is missing)';
  if (missing.length === 0)
    return {name, status: 'yes', reason: `all that Docker gives${mayRaise}`, remedy: ''};
  return {
    name,
    status: 'no',
    reason: `missing from the bounding set of this process: ${missing.join(', ')}${mayRaise}`,
    remedy:
      'Start from a shell of the host with all capabilities; inside a container: --cap-add or --privileged.',
  };
}

async function overlay(): Promise<DoctorCheck> {
  const name = 'overlay file system';
  const known = await readFile('/proc/filesystems', 'latin1').catch(() => '');
  if (/\toverlay$/m.test(known)) return {name, status: 'yes', reason: 'known to this kernel', remedy: ''};
  return {name, status: 'broken', reason: 'not known to this kernel', remedy: 'modprobe overlay'};
}

/** user_namespaces(7); the second file is Debian's and Ubuntu's own. */
async function userNamespaces(): Promise<DoctorCheck> {
  const name = 'user namespaces';
  const most = Number(await readFile('/proc/sys/user/max_user_namespaces', 'latin1').catch(() => '0'));
  if (most === 0) {
    return {name, status: 'no', reason: 'switched off', remedy: 'sysctl user.max_user_namespaces=15000'};
  }
  const forUsers = (
    await readFile('/proc/sys/kernel/unprivileged_userns_clone', 'latin1').catch(() => '1')
  ).trim();
  if (forUsers === '1') return {name, status: 'yes', reason: 'for every user', remedy: ''};
  return {name, status: 'no', reason: 'for root only', remedy: 'sysctl kernel.unprivileged_userns_clone=1'};
}

function controllers({facts}: Runtime): DoctorCheck[] {
  return facts.cgroups.capabilities().map(({controller, available, reason, remedy}) => ({
    name: `limit: ${controller}`,
    status: available ? 'yes' : 'no',
    reason: available ? `cgroup ${facts.cgroups.layout}` : reason,
    remedy,
  }));
}
