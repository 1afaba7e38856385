import {
  checkNameServer,
  checkSearchDomain,
  parseDeviceRate,
  parseDeviceRule,
  parseDeviceWeight,
  parseDuration,
  parseExtraHost,
  parseGoDuration,
  parseLink,
  parseMount,
  parseSize,
  parseUlimit,
} from '../sdk/index.js';
import type {Flag} from './command.js';
import {checkEnv, checkInteger, checkLabel, checkSysctl} from './flag-checks.js';
import {parseNetworkFlag} from './network-flags.js';
import {parseCpus, parseUint16} from './parse-number.js';

const NETWORKS_LATER = 'it comes with a later release';
const ONE_WAY = 'there is one way to run containers here';
const SHARING_LATER = 'sharing cgroup namespaces comes with a later release';

const checkSignedSize = (text: string) => {
  if (text !== '-1') parseSize(text);
};
const checkBps = (text: string) => void parseDeviceRate(text, 'bytes');
const checkIops = (text: string) => void parseDeviceRate(text, 'operations');

/** Flags of `run` and `create`, with Docker's names and words; ours say so. */
export const CONTAINER_FLAGS: readonly Flag[] = [
  {
    name: 'add-host',
    type: 'list',
    summary: 'Add a custom host-to-IP mapping (host:ip)',
    check: text => void parseExtraHost(text),
  },
  {name: 'attach', short: 'a', type: 'list', summary: 'Attach to STDIN, STDOUT or STDERR'},
  {
    name: 'blkio-weight',
    type: 'uint16',
    summary: 'Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)',
    check: parseUint16,
  },
  {
    name: 'blkio-weight-device',
    type: 'list',
    summary: 'Block IO weight (relative device weight)',
    check: parseDeviceWeight,
  },
  {name: 'cap-add', type: 'list', summary: 'Add Linux capabilities'},
  {name: 'cap-drop', type: 'list', summary: 'Drop Linux capabilities'},
  {name: 'cgroup-parent', type: 'string', summary: 'Optional parent cgroup for the container'},
  {name: 'cidfile', type: 'string', summary: 'Write the container ID to the file'},
  {
    name: 'cpu-period',
    type: 'int',
    summary: 'Limit CPU CFS (Completely Fair Scheduler) period',
    check: checkInteger,
  },
  {
    name: 'cpu-quota',
    type: 'int',
    summary: 'Limit CPU CFS (Completely Fair Scheduler) quota',
    check: checkInteger,
  },
  {name: 'cpu-shares', short: 'c', type: 'int', summary: 'CPU shares (relative weight)', check: checkInteger},
  {name: 'cpus', type: 'decimal', summary: 'Number of CPUs', check: parseCpus},
  {name: 'cpuset-cpus', type: 'string', summary: 'CPUs in which to allow execution (0-3, 0,1)'},
  {name: 'cpuset-mems', type: 'string', summary: 'MEMs in which to allow execution (0-3, 0,1)'},
  {name: 'device', type: 'list', summary: 'Add a host device to the container'},
  {
    name: 'device-cgroup-rule',
    type: 'list',
    summary: 'Add a rule to the cgroup allowed devices list',
    check: text => void parseDeviceRule(text),
  },
  {
    name: 'device-read-bps',
    type: 'list',
    summary: 'Limit read rate (bytes per second) from a device',
    check: checkBps,
  },
  {
    name: 'device-read-iops',
    type: 'list',
    summary: 'Limit read rate (IO per second) from a device',
    check: checkIops,
  },
  {
    name: 'device-write-bps',
    type: 'list',
    summary: 'Limit write rate (bytes per second) to a device',
    check: checkBps,
  },
  {
    name: 'device-write-iops',
    type: 'list',
    summary: 'Limit write rate (IO per second) to a device',
    check: checkIops,
  },
  {name: 'domainname', type: 'string', summary: 'Container NIS domain name'},
  {name: 'link', type: 'list', summary: 'Add link to another container', check: text => void parseLink(text)},
  {name: 'dns', type: 'list', summary: 'Set custom DNS servers', check: checkNameServer},
  {name: 'dns-option', type: 'list', summary: 'Set DNS options'},
  {name: 'dns-opt', type: 'list', summary: '', hidden: true},
  {name: 'dns-search', type: 'list', summary: 'Set custom DNS search domains', check: checkSearchDomain},
  {name: 'entrypoint', type: 'string', summary: 'Overwrite the default ENTRYPOINT of the image'},
  {name: 'env', short: 'e', type: 'list', summary: 'Set environment variables', check: checkEnv},
  {name: 'env-file', type: 'list', summary: 'Read in a file of environment variables'},
  {name: 'expose', type: 'list', summary: 'Expose a port or a range of ports'},
  {name: 'group-add', type: 'list', summary: 'Add additional groups to join'},
  {name: 'health-cmd', type: 'string', summary: 'Command to run to check health'},
  {
    name: 'health-interval',
    type: 'duration',
    summary: 'Time between running the check (ms|s|m|h) (default 0s)',
    check: parseGoDuration,
  },
  {
    name: 'health-retries',
    type: 'int',
    summary: 'Consecutive failures needed to report unhealthy',
    check: checkInteger,
  },
  {
    name: 'health-start-interval',
    type: 'duration',
    summary: 'Time between running the check during the start period (ms|s|m|h) (default 0s)',
    check: parseGoDuration,
  },
  {
    name: 'health-start-period',
    type: 'duration',
    summary:
      'Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)',
    check: parseGoDuration,
  },
  {
    name: 'health-timeout',
    type: 'duration',
    summary: 'Maximum time to allow one check to run (ms|s|m|h) (default 0s)',
    check: parseGoDuration,
  },
  {name: 'hostname', short: 'h', type: 'string', summary: 'Container host name'},
  {name: 'init', summary: 'Run an init inside the container that forwards signals and reaps processes'},
  {name: 'interactive', short: 'i', summary: 'Keep STDIN open and pass it through'},
  {name: 'ip', type: 'string', summary: 'IPv4 address (e.g., 172.30.100.104)'},
  {name: 'ip6', type: 'string', summary: 'IPv6 address (e.g., 2001:db8::33)'},
  {name: 'ipc', type: 'string', summary: 'IPC mode to use'},
  {name: 'label', short: 'l', type: 'list', summary: 'Set meta data on a container', check: checkLabel},
  {name: 'label-file', type: 'list', summary: 'Read in a line delimited file of labels'},
  {
    name: 'log-driver',
    type: 'string',
    summary: 'Logging driver for the container: json-file, local, journald, none',
  },
  {name: 'log-opt', type: 'list', summary: 'Log driver options'},
  {
    name: 'mac-address',
    type: 'string',
    summary: 'Container MAC address (e.g., 92:d0:c6:0a:29:33)',
  },
  {name: 'memory', short: 'm', type: 'bytes', summary: 'Memory limit', check: parseSize},
  {name: 'memory-reservation', type: 'bytes', summary: 'Memory soft limit', check: parseSize},
  {
    name: 'memory-swap',
    type: 'bytes',
    summary: "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
    check: checkSignedSize,
  },
  {
    name: 'memory-swappiness',
    type: 'int',
    summary: 'Tune container memory swappiness (0 to 100) (default -1)',
    check: checkInteger,
  },
  {name: 'mount', type: 'mount', summary: 'Attach a filesystem mount to the container', check: parseMount},
  {name: 'name', type: 'string', summary: 'Assign a name to the container'},
  {
    name: 'network',
    type: 'network',
    summary:
      'Connect a container to a network: its name, bridge, none, host or container:NAME; several times for several (default none, or bridge with -p, --link or --mac-address)',
    check: parseNetworkFlag,
  },
  {name: 'network-alias', type: 'list', summary: 'Add network-scoped alias for the container'},
  {name: 'no-healthcheck', summary: 'Disable any container-specified HEALTHCHECK'},
  {name: 'oom-kill-disable', summary: 'Disable OOM Killer'},
  {
    name: 'oom-score-adj',
    type: 'int',
    summary: "Tune host's OOM preferences (-1000 to 1000)",
    check: checkInteger,
  },
  {name: 'pid', type: 'string', summary: 'PID namespace to use'},
  {
    name: 'pids-limit',
    type: 'int',
    summary: 'Tune container pids limit (set -1 for unlimited)',
    check: checkInteger,
  },
  {name: 'platform', type: 'string', summary: 'Set platform if server is multi-platform capable'},
  {name: 'privileged', summary: 'Give extended privileges to this container'},
  {
    name: 'pull',
    type: 'string',
    summary: 'Pull image before running ("always", "missing", "never") (default "missing")',
  },
  {
    name: 'publish',
    short: 'p',
    type: 'list',
    summary: "Publish a container's port(s) to the host",
  },
  {name: 'publish-all', short: 'P', summary: 'Publish all exposed ports to random ports'},
  {name: 'quiet', short: 'q', summary: 'Suppress the pull output'},
  {name: 'read-only', summary: "Mount the container's root filesystem as read only"},
  {
    name: 'restart',
    type: 'string',
    summary: 'Restart policy to apply when a container exits (default "no")',
  },
  {
    name: 'rm',
    summary: 'Automatically remove the container and its associated anonymous volumes when it exits',
  },
  {
    name: 'security-opt',
    type: 'list',
    summary: 'Security Options: no-new-privileges, seccomp=unconfined, seccomp=FILE, systempaths=unconfined',
  },
  {name: 'shm-size', type: 'bytes', summary: 'Size of /dev/shm', check: parseSize},
  {name: 'stop-signal', type: 'string', summary: 'Signal to stop the container'},
  {
    name: 'stop-timeout',
    type: 'int',
    summary: 'Timeout (in seconds) to stop a container',
    check: checkInteger,
  },
  {name: 'sysctl', type: 'map', summary: 'Sysctl options', check: checkSysctl},
  {
    name: 'timeout',
    type: 'duration',
    summary: "Kill the container when it runs longer: seconds, or 1m30s (Coracle's own)",
    check: parseDuration,
  },
  {name: 'tmpfs', type: 'list', summary: 'Mount a tmpfs directory'},
  {name: 'tty', short: 't', summary: 'Allocate a pseudo-TTY'},
  {name: 'ulimit', type: 'ulimit', summary: 'Ulimit options', check: parseUlimit},
  {name: 'user', short: 'u', type: 'string', summary: 'Username or UID (format: <name|uid>[:<group|gid>])'},
  {name: 'uts', type: 'string', summary: 'UTS namespace to use'},
  {name: 'userns', type: 'string', summary: 'User namespace to use: host'},
  {name: 'volume', short: 'v', type: 'list', summary: 'Bind mount a volume'},
  {name: 'volume-driver', type: 'string', summary: 'Optional volume driver for the container: local'},
  {name: 'volumes-from', type: 'list', summary: 'Mount volumes from the specified container(s)'},
  {
    name: 'when-unavailable',
    type: 'string',
    summary:
      "What to do with a limit that this host cannot enforce: error or warn (Coracle's own, default error)",
  },
  {name: 'workdir', short: 'w', type: 'string', summary: 'Working directory inside the container'},
  // Taken, and without anything to do here.
  {name: 'disable-content-trust', summary: '', hidden: true},
  {name: 'net', type: 'network', summary: '', hidden: true, check: parseNetworkFlag},
  {name: 'net-alias', type: 'list', summary: '', hidden: true},
  ...unsupported(NETWORKS_LATER, ['link-local-ip']),
  ...unsupported(SHARING_LATER, ['cgroupns'], /^(private)?$/),
  ...unsupported(ONE_WAY, ['runtime'], /^(runc|coracle)?$/),
  ...unsupported(ONE_WAY, ['isolation'], /^(default)?$/),
  ...unsupported(ONE_WAY, ['annotation']),
  // Refused with their reasons.
  {name: 'gpus', type: 'gpu-request', summary: '', hidden: true},
  {name: 'storage-opt', type: 'list', summary: '', hidden: true},
  ...unsupported(
    'the kernel has no such limit any more',
    ['cpu-rt-period', 'cpu-rt-runtime', 'kernel-memory'],
    /^0$/,
  ),
];

export const DETACH_KEYS_FLAG: Flag = {
  name: 'detach-keys',
  type: 'string',
  summary: 'Override the key sequence for detaching a container',
};

export const DETACH_FLAG: Flag = {
  name: 'detach',
  short: 'd',
  summary: 'Run container in background and print container ID',
};

function unsupported(instead: string, names: readonly string[], harmless?: RegExp): Flag[] {
  return names.map(name => ({
    name,
    type: 'string',
    summary: '',
    unsupported: instead,
    ...(harmless && {harmless}),
  }));
}
