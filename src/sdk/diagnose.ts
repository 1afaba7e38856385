import {readFileSync} from 'node:fs';
import {release} from 'node:os';
import {checkKernel, coreFile, requireCore} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {describeDrop, type ForeignDrop, foreignDrops, waysPast} from '../network/index.js';
import {probeStorageDriver, type Store, Workspace} from '../store/index.js';
import {capabilityMask, capabilityNames} from './capabilities.js';
import type {HostFacts} from './host-facts.js';
import {forbidden, NAMESPACES, readSysctl} from './namespace-switches.js';

/** One thing that `doctor` judges. */
export interface Check {
  readonly name: string;
  /** `no`: containers run without it, but what needs it is refused. `broken`: nothing runs. */
  readonly status: 'yes' | 'no' | 'broken';
  /** What was found. */
  readonly reason: string;
  /** The command or setting that lifts the limit; '' when there is nothing to do. */
  readonly remedy: string;
}

/** What this host can and cannot enforce, each with its remedy. Leaves nothing changed. */
export async function diagnose(
  facts: HostFacts,
  store: Pick<Store, 'work' | 'storageDriver'>,
): Promise<readonly Check[]> {
  return [
    kernel(),
    core(),
    privileges(facts),
    ...namespaces(facts),
    await storage(store),
    seccomp(),
    ...limits(facts),
    ulimits(facts),
    ...(facts.isRoot ? [await firewall('forward'), await firewall('input')] : []),
  ];
}

function kernel(): Check {
  return tried('kernel', () => {
    checkKernel(release());
    return `Linux ${release()}`;
  });
}

function core(): Check {
  return tried('native core', () => {
    requireCore();
    return coreFile('coracle-launcher');
  });
}

function privileges({isRoot, capabilities}: HostFacts): Check {
  const needed = capabilityMask([
    'CAP_SYS_ADMIN',
    'CAP_SYS_CHROOT',
    'CAP_SETUID',
    'CAP_SETGID',
    'CAP_SETPCAP',
    'CAP_MKNOD',
    'CAP_CHOWN',
    'CAP_DAC_OVERRIDE',
  ]);
  const missing = capabilityNames(needed & ~capabilities);
  if (isRoot && missing.length === 0)
    return {
      name: 'privileges',
      status: 'yes',
      reason: 'root with every capability that starts need',
      remedy: '',
    };
  if (isRoot) {
    return {
      name: 'privileges',
      status: 'broken',
      reason: `root without ${missing.join(', ')}`,
      remedy: 'start the program with these capabilities',
    };
  }
  return {
    name: 'privileges',
    status: 'no',
    reason: `uid ${process.geteuid?.()}: a single id inside, no limits, no network`,
    remedy: 'run as root for limits, other ids and networks',
  };
}

function namespaces({isRoot}: HostFacts): Check[] {
  return NAMESPACES.map(namespace => {
    const name = `${namespace} namespaces`;
    const closed = namespace === 'user' && isRoot ? 'no' : 'broken';
    const most = readSysctl(`user.max_${namespace}_namespaces`);
    if (most === undefined) {
      const remedy = 'use a kernel that was built with them';
      return {name, status: closed, reason: 'this kernel has none', remedy};
    }
    const refused = forbidden(namespace, isRoot);
    return refused === undefined
      ? {name, status: 'yes', reason: `at most ${most}`, remedy: ''}
      : {name, status: closed, ...refused};
  });
}

/** Looked into at the root itself: whether its file system can have the writable layer of an overlay. */
async function storage({work, storageDriver}: Pick<Store, 'work' | 'storageDriver'>): Promise<Check> {
  const name = 'storage driver';
  await using workspace = Workspace.open(work);
  const {driver, reason} = probeStorageDriver(workspace);
  if (driver === 'overlay' && storageDriver === 'overlay')
    return {name, status: 'yes', reason: `overlay: ${reason}`, remedy: ''};
  if (driver === 'overlay')
    return {
      name,
      status: 'yes',
      reason: 'vfs, as asked for: each container has a copy of its image',
      remedy: 'CORACLE_STORAGE_DRIVER=overlay',
    };
  if (storageDriver === 'vfs')
    return {
      name,
      status: 'no',
      reason: `vfs, each container has a copy of its image: ${reason}`,
      remedy: 'put the root on a local ext4, XFS or btrfs: CORACLE_ROOT',
    };
  return {name, status: 'broken', reason, remedy: 'CORACLE_STORAGE_DRIVER=vfs'};
}

function seccomp(): Check {
  const actions = read('/proc/sys/kernel/seccomp/actions_avail');
  return actions?.includes('errno')
    ? {name: 'seccomp', status: 'yes', reason: actions, remedy: ''}
    : {
        name: 'seccomp',
        status: 'broken',
        reason: 'this kernel has no seccomp filters',
        remedy: 'use a kernel that was built with them',
      };
}

function limits(facts: HostFacts): Check[] {
  try {
    return facts.cgroups.capabilities().map(
      ({controller, available, reason, remedy}): Check => ({
        name: `limit: ${controller}`,
        status: available ? 'yes' : 'no',
        reason: available ? `cgroup ${facts.cgroups.layout}` : reason,
        remedy,
      }),
    );
  } catch (error) {
    return [
      {
        name: 'limits',
        status: 'no',
        reason: (error as Error).message,
        remedy: (error as CoracleError).hint ?? '',
      },
    ];
  }
}

function ulimits({ulimitCeiling}: HostFacts): Check {
  return ulimitCeiling === undefined
    ? {name: 'ulimits', status: 'yes', reason: 'hard limits can be raised', remedy: ''}
    : {
        name: 'ulimits',
        status: 'no',
        reason: 'without CAP_SYS_RESOURCE hard limits and negative oom scores are refused',
        remedy: 'start the program with CAP_SYS_RESOURCE',
      };
}

const CROSSING = {
  forward: 'what containers send to other hosts, and what those send them,',
  input: 'what containers send to this host, and what comes to a published port by IPv6,',
};

/** Rules of somebody else's, which ours cannot overrule. */
async function firewall(hook: ForeignDrop['hook']): Promise<Check> {
  const name = `firewall: ${hook}`;
  try {
    const drops = await foreignDrops(hook, ANY_BRIDGE);
    if (drops.length === 0) return {name, status: 'yes', reason: `${CROSSING[hook]} passes`, remedy: ''};
    const isDockers = drops.every(({family, chain}) => family === 'ip' && chain === 'FORWARD');
    return {
      name,
      status: 'no',
      reason: `${CROSSING[hook]} is dropped by ${drops.map(describeDrop).join(', ')}`,
      remedy: isDockers
        ? `"allow-forwarding": true in the configuration file, where dockerd runs; or ${waysPast(drops[0]!)}`
        : drops.map(waysPast).join(' && '),
    };
  } catch (error) {
    const {message} = error as Error;
    return {
      name,
      status: 'no',
      reason: message,
      remedy: 'modprobe -a bridge veth nf_tables nft_masq nft_nat nft_fib_ipv4',
    };
  }
}

/** None that exists: rules for all of ours let it pass. */
const ANY_BRIDGE = 'cor-';

function tried(name: string, find: () => string): Check {
  try {
    return {name, status: 'yes', reason: find(), remedy: ''};
  } catch (error) {
    return {
      name,
      status: 'broken',
      reason: (error as Error).message,
      remedy: error instanceof CoracleError ? (error.hint ?? '') : '',
    };
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
