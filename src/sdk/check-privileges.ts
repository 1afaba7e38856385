/** What a container asks for and cannot have here, found out before anything is made. */
import {SlotAllocator} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {capabilityMask} from './capabilities.js';
import {connects} from './connects.js';
import type {ConfiguredMount, ContainerConfig} from './container-config.js';
import type {HostFacts} from './host-facts.js';
import {namespacesForbidden} from './namespace-switches.js';
import {isolatesAll} from './plan-template.js';
import {ULIMIT_NAMES} from './run-options.js';

/**
 * Changes nothing.
 * @throws `ERR_NEEDS_ROOT`, `ERR_LIMIT_UNSUPPORTED`, `ERR_NAMESPACES_FORBIDDEN`, `ERR_UNSUPPORTED_OPTION`, and what the
 * cgroup driver throws
 */
export function checkStart(config: ContainerConfig, facts: HostFacts): void {
  checkPrivileges(config, facts);
  const {id, limits, whenUnavailable, cgroupParent} = config;
  facts.cgroups.compile(
    {name: id, limits, whenUnavailable, ...(cgroupParent !== undefined && {parent: cgroupParent})},
    new SlotAllocator(),
  );
}

/** As `checkStart`, but for the limits of its cgroup. */
export function checkPrivileges(config: ContainerConfig, facts: HostFacts): void {
  if (facts.isRoot) {
    if ((facts.capabilities & capabilityMask(['CAP_SYS_ADMIN'])) === 0n) throw namespacesForbidden(true);
    if (config.userNamespace !== 'host' && !facts.shiftsLayers) throw userNamespaceUnsupported();
  } else {
    refuseWhatNeedsRoot(config);
  }
  checkUlimits(config, facts);
}

/** Overlay on mounts that shift ids, which is how the image's files become those of other ids unchanged. */
function userNamespaceUnsupported(): CoracleError {
  return new CoracleError('ERR_UNSUPPORTED_OPTION', 'userNamespace needs Linux 5.19 or newer', {
    hint: 'Leave it out on this kernel.',
    details: {option: 'userNamespace'},
  });
}

function refuseWhatNeedsRoot(config: ContainerConfig): void {
  const {user, groups, devices, privileged, oomScoreAdj, userNamespace, mounts} = config;
  // Whatever the image's files say: the names of root, and the numbers.
  if (!/^(0|root)?(:(0|root)?)?$/.test(user)) needsRoot(`the user ${user}`);
  if (groups.length > 0) needsRoot('a supplementary group');
  if (devices.length > 0) needsRoot('a device');
  if (privileged) needsRoot('privileged');
  if (oomScoreAdj < 0) needsRoot('a negative oomScoreAdj');
  if (userNamespace !== 'host') needsRoot('userNamespace');
  if (!isolatesAll(config)) needsRoot('a namespace that is shared');
  if (connects(config)) needsRoot(`the network ${config.network}`);
  for (const mount of mounts) refuseMount(mount);
}

function refuseMount(mount: ConfiguredMount): void {
  if (mount.type === 'tmpfs' && ((mount.uid ?? 0) !== 0 || (mount.gid ?? 0) !== 0)) {
    needsRoot(`the owner of the tmpfs ${mount.target}`);
  }
  // The mounts of a new user namespace neither tell the host of changes nor, made private for that, hear of any.
  if (mount.type === 'bind' && !/^r?private$/.test(mount.propagation ?? 'rprivate')) {
    needsRoot(`the propagation ${mount.propagation} of ${mount.target}`);
  }
}

function needsRoot(what: string): never {
  throw new CoracleError('ERR_NEEDS_ROOT', `${what} needs root`, {
    hint: "Run as root. An ordinary user's containers have a single id, no limits and no network.",
    details: {option: what},
  });
}

/** Without CAP_SYS_RESOURCE a hard limit cannot be raised: setrlimit(2). */
function checkUlimits({ulimits}: ContainerConfig, facts: HostFacts): void {
  const ceiling = Object.keys(ulimits).length > 0 ? facts.ulimitCeiling : undefined;
  if (ceiling === undefined) return;
  for (const name of ULIMIT_NAMES) {
    const [wanted, most] = [ulimits[name]?.hard, ceiling[name].hard];
    if (wanted === undefined || most === -1 || (wanted !== -1 && wanted <= most)) continue;
    throw new CoracleError(
      'ERR_LIMIT_UNSUPPORTED',
      `ulimit ${name} cannot be set to ${wanted}: without CAP_SYS_RESOURCE ${most} is the most`,
      {
        hint: `Ask for at most ${most}, or start the program with a higher hard limit.`,
        details: {limit: name, most},
      },
    );
  }
}
