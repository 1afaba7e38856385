/** The plan of a health check's command, made before its container runs: `probe.bin`, for the monitor. */
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  encodeHealthOrders,
  encodePlan,
  SlotAllocator,
  withOrders,
} from '../binding/index.js';
import {type CgroupSteps, pauseFile} from '../cgroup/index.js';
import type {StoredImage} from '../store/index.js';
import {capabilityNames, resolveCapabilities} from './capabilities.js';
import {compileExec} from './compile-exec.js';
import {type ContainerConfig, processEnv, withHome} from './container-config.js';
import {healthTimes, probeCommand} from './healthcheck.js';
import type {HostFacts} from './host-facts.js';
import {idMaps} from './prepare-start.js';
import {probeEventsToCome} from './record-events.js';
import {resolveUser} from './resolve-user.js';
import {seccompFilter} from './seccomp-program.js';

/**
 * Undefined for a container without a health check. Who runs the command is who runs the container's program, whatever
 * the container has made of its /etc/passwd since.
 * @param cgroups directories that the container will have
 * @throws `ERR_INVALID_OPTION` for a command and labels longer than 32 KiB
 */
export function prepareProbe(
  facts: HostFacts,
  config: ContainerConfig,
  image: StoredImage,
  cgroups: CgroupSteps['directories'],
): Buffer | undefined {
  const argv = probeCommand(config);
  if (argv === undefined || config.healthcheck === null) return undefined;
  const user = resolveUser(config.user, config.groups, image);
  const {add, drop} = config.capabilities;
  const capabilities = resolveCapabilities({add, drop, privileged: config.privileged}, facts.capabilities);
  const slots = new SlotAllocator();
  const plan = compileExec(
    {
      config,
      argv,
      env: withHome(processEnv(config), user),
      workdir: config.workdir || '/',
      user,
      capabilities,
      seccomp: seccompFilter(config, capabilityNames(capabilities)),
      ulimits: facts.ulimits,
      cgroup: facts.cgroups.joining(cgroups, slots),
      counters: [],
      namespaces: namespacesOf(config, !facts.isRoot),
      userNamespace: idMaps(config, !facts.isRoot),
      terminal: undefined,
      detached: false,
      bookkeeping: {host: [], started: [], teardown: []},
    },
    slots,
  );
  return encodePlan(plan, ordersOf(config, config.healthcheck, argv, cgroups));
}

/** The same for a container that was renamed: its events name it. Undefined without a health check. */
export function renamedProbe(
  present: Uint8Array,
  config: ContainerConfig,
  cgroups: CgroupSteps['directories'],
): Buffer | undefined {
  const argv = probeCommand(config);
  if (argv === undefined || config.healthcheck === null) return undefined;
  return withOrders(present, ordersOf(config, config.healthcheck, argv, cgroups));
}

function ordersOf(
  config: ContainerConfig,
  healthcheck: NonNullable<ContainerConfig['healthcheck']>,
  argv: readonly [string, ...string[]],
  cgroups: CgroupSteps['directories'],
): Buffer {
  return encodeHealthOrders({
    ...healthTimes(healthcheck),
    pauseFile: pauseFile(cgroups) ?? '',
    ...probeEventsToCome(config, argv),
  });
}

/** Those that its start makes or joins, and does not leave to the host. */
function namespacesOf({network, pid, ipc, uts, userNamespace}: ContainerConfig, rootless: boolean): number {
  return (
    CLONE_NEWNS |
    CLONE_NEWCGROUP |
    (network === 'host' ? 0 : CLONE_NEWNET) |
    (pid === 'host' ? 0 : CLONE_NEWPID) |
    (ipc === 'host' ? 0 : CLONE_NEWIPC) |
    (uts === 'host' ? 0 : CLONE_NEWUTS) |
    (userNamespace !== 'host' || rootless ? CLONE_NEWUSER : 0)
  );
}
