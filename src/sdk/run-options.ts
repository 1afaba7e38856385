import type {Limits} from '../cgroup/index.js';

/**
 * Everything a caller may say about a container. Plain data: `normalizeRunOptions` merges the defaults and refuses
 * contradictions and misspelt keys with `ERR_INVALID_OPTION` before anything happens on the host. Names and meanings
 * follow Docker's; the flag of the command line stands at the end of each comment. Units are in the names.
 */
export type NetworkMode = 'none' | 'host' | 'bridge' | OfContainer | NetworkName;
/** Of a network of one's own: its name, its id or the beginning of that. */
export type NetworkName = string & Record<never, never>;

/** A network that a container is on, and what it is there. */
export interface NetworkOptions {
  /** Name, id or the beginning of that. */
  readonly network: string;
  /** Further names by which others on the network find it. @default [] `--network-alias` */
  readonly aliases?: readonly string[];
  /** Of a subnet that was given to the network. @default one that is free `--ip` */
  readonly ipv4Address?: string;
  /** @default one that is free, if the network has IPv6 `--ip6` */
  readonly ipv6Address?: string;
  /** `02:42:0a:05:00:09`. @default made of the address `--mac-address` */
  readonly macAddress?: string;
  /** Taken and told; no driver here has any. @default {} */
  readonly driverOptions?: Readonly<Record<string, string>>;
  /** Containers there by names of its own for them: `db:store` each. @default [] `--link` */
  readonly links?: readonly string[];
}

/** A port of the host that leads to one of the container. */
export interface PublishedPort {
  /** Inside: 0 to 65535. */
  readonly containerPort: number;
  /** @default 'tcp' */
  readonly protocol?: 'tcp' | 'udp' | 'sctp';
  /** @default any that is free */
  readonly hostPort?: number;
  /** With it, `hostPort` is the first of a range, of which any will do. */
  readonly hostPortEnd?: number;
  /** An address of the host, IPv4 or IPv6. @default all of them */
  readonly hostAddress?: string;
}

export interface RunOptions {
  /** What to run: replaces the image's `Cmd` and is appended to the entrypoint. @default the image's */
  readonly command?: readonly string[];
  /** Replaces the image's `Entrypoint` *and* forgets its `Cmd`, as Docker does; `[]` clears it. @default the image's `--entrypoint` */
  readonly entrypoint?: readonly string[];
  /** Merged over the image's variables. In the record form `null` removes a variable of the image's, in the array form (`KEY=value`) a `KEY` alone does. @default {} `--env` */
  readonly env?: Readonly<Record<string, string | null>> | readonly string[];
  /** Absolute; made when it does not exist. @default the image's, or "/" `--workdir` */
  readonly workdir?: string;
  /** `uid[:gid]` or names, resolved from the image's own /etc/passwd and /etc/group. @default the image's, or root `--user` */
  readonly user?: string;
  /** Supplementary groups, names or gids. Without any: those of the user in the image's /etc/group. @default [] `--group-add` */
  readonly groups?: readonly string[];
  /** At most 64 bytes. @default the first twelve digits of the id `--hostname` */
  readonly hostname?: string;
  /** NIS domain name, at most 64 bytes. @default none `--domainname` */
  readonly domainname?: string;
  /** Written below `Container.list` and `ps`; letters, digits, `_.-`, at least two. @default a random adjective_surname `--name` */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;

  /**
   * Where the program reads from: nothing (`ignore`: end of file at once), a stream that the handle offers (`pipe`),
   * the caller's own stdin (`inherit`), or these bytes. Only `run` takes bytes: a created container may start often.
   * @default 'ignore' `--interactive`
   */
  readonly stdin?: StdinSource;
  /** @default 'pipe': the handle offers a stream */
  readonly stdout?: OutputTarget;
  /** @default 'pipe' */
  readonly stderr?: OutputTarget;
  /** A terminal for stdin, stdout and stderr; of detached containers only. @default false `--tty` */
  readonly tty?: boolean;
  /** The terminal's size at first. @default whatever the program makes of 0 rows and columns */
  readonly terminalSize?: {readonly rows: number; readonly columns: number};
  /** What `inspect` tells of who stays with it: `AttachStdin`, `AttachStdout`, `AttachStderr`, `StdinOnce`. @default all its streams `--attach` */
  readonly attach?: readonly ('stdin' | 'stdout' | 'stderr')[];
  /** What a command line said that means nothing here, or that other options put otherwise: for `inspect` alone. @default {} */
  readonly asWritten?: AsWritten;
  /** Bytes of each output stream that are kept while nobody reads it; what comes after is dropped and marked as truncated. 0 to 1 GiB. @default 1 MiB */
  readonly outputLimitBytes?: number;

  /** Memory, CPU, processes, block devices. @default no limit of our own */
  readonly limits?: Limits;
  /** What to do with a limit that this host cannot enforce: refuse (`ERR_LIMIT_UNSUPPORTED`) or go on and report it. @default 'error' */
  readonly whenUnavailable?: 'error' | 'warn';
  /** By the names of setrlimit(2) in lower case: `{nofile: 1024, core: {soft: 0, hard: 0}}`; -1 = unlimited. @default what the host's init has `--ulimit` */
  readonly ulimits?: Readonly<Partial<Record<UlimitName, Ulimit | number>>>;
  /** Time that the program may take, counted from its exec; then it is killed and the cause of death is `deadline`. 1 to 2^31-1. @default none `--timeout` */
  readonly deadlineMs?: number;
  /** Time that the start may take until exec; then it is undone and `ERR_START_DEADLINE` names the step that hung. @default 10 000 */
  readonly startDeadlineMs?: number;

  /** Later ones win over what lies below them; the same target twice is refused. @default [] `--mount --volume --tmpfs` */
  readonly mounts?: readonly Mount[];
  /**
   * Containers whose binds and volumes it has as well, at the same places: name or id, and after a colon `ro`, `rw`, `z`
   * or `Z`. What `mounts` puts at such a place wins. @default [] `--volumes-from`
   */
  readonly volumesFrom?: readonly string[];
  /** Block or character devices of the host's. @default [] `--device` */
  readonly devices?: readonly Device[];
  /** Devices that it may use beyond those, once it has made their nodes: `c 1:3 rwm` each. @default [] `--device-cgroup-rule` */
  readonly deviceRules?: readonly string[];
  /** Size of /dev/shm. @default 64 MiB `--shm-size` */
  readonly shmSizeBytes?: number;
  /** Mount the container's root read-only. @default false `--read-only` */
  readonly readOnly?: boolean;

  /** Changes to Docker's default set: names with or without `CAP_`, or `ALL`. @default {} `--cap-add --cap-drop` */
  readonly capabilities?: {readonly add?: readonly string[]; readonly drop?: readonly string[]};
  /** All capabilities and devices, no seccomp, nothing masked: not a boundary any more. @default false `--privileged` */
  readonly privileged?: boolean;
  /** Docker's profile, none, or one in Docker's JSON format: as a value or as a file of the host's. @default 'default'; 'unconfined' when privileged `--security-opt seccomp=` */
  readonly seccomp?: 'default' | 'unconfined' | SeccompDocument | {readonly path: string};
  /** What of /proc and /sys is masked or read-only: Docker's paths, or nothing. @default 'default'; nothing when privileged `--security-opt systempaths=` */
  readonly systemPaths?: 'default' | 'unconfined';
  /** prctl(2) PR_SET_NO_NEW_PRIVS: setuid programs gain nothing. @default true; false behind Docker-shaped doors `--security-opt no-new-privileges` */
  readonly noNewPrivileges?: boolean;
  /** Map the container's ids to others of the host's; `host` = no user namespace. @default 'host' `--userns` */
  readonly userNamespace?: 'host' | UserNamespaceMap;
  /** -1000 to 1000, see proc_pid_oom_score_adj(5); below the caller's own it needs CAP_SYS_RESOURCE. @default 0 `--oom-score-adj` */
  readonly oomScoreAdj?: number;
  /** Of the container's own namespaces: `net.*`, `fs.mqueue.*` and System V IPC. @default {} `--sysctl` */
  readonly sysctls?: Readonly<Record<string, string>>;

  /**
   * `none`: loopback only. `host`: the host's own network, not isolated. `bridge`: an address of its own on a bridge of the
   * host, by which it reaches out. `container:NAME`: that of a container that runs, with its addresses, ports and names.
   * Anything else: a network of one's own (`Network.create`). @default 'bridge' with `ports`, `publishAll` or `links`, else
   * 'none' `--network`
   */
  readonly network?: NetworkMode;
  /** Several networks, or more about one. The way out is by the one whose name comes first, as in Docker. @default `network` */
  readonly networks?: readonly NetworkOptions[];
  /**
   * Containers by names of its own for them, `db:store` or `db` each. On a network of one's own (the first, if there are
   * several) they lead to whoever has the name there when it is asked for. On the default bridge they must run when this one
   * starts; /etc/hosts and Docker's variables (`STORE_PORT_80_TCP_ADDR`) tell of them as they are then. @default [] `--link`
   */
  readonly links?: readonly string[];
  /** Ports of the host that lead to it; `network` is 'bridge' then unless it says otherwise. `--publish` */
  readonly ports?: readonly PublishedPort[];
  /** Ports that it listens on, `80/tcp`: `--expose`. Those of the image are added. */
  readonly expose?: readonly string[];
  /** Lines for /etc/hosts: `db:10.0.0.1`; `host-gateway` stands for the address of the way out. `--add-host` */
  readonly extraHosts?: readonly string[];
  /** Addresses of name servers. @default the host's, as far as they can be reached `--dns` */
  readonly dns?: readonly string[];
  /** Domains that names are looked up in; `.` alone: none. @default the host's `--dns-search` */
  readonly dnsSearch?: readonly string[];
  /** resolv.conf(5), `ndots:2`. @default the host's `--dns-option` */
  readonly dnsOptions?: readonly string[];
  /** Publish all of those. @default false `--publish-all` */
  readonly publishAll?: boolean;
  /** Whose processes it sees and may signal: its own, the host's, or those of another container that runs. @default 'private' `--pid` */
  readonly pid?: 'private' | 'host' | OfContainer;
  /**
   * System V IPC, POSIX message queues and /dev/shm: its own (`shareable`: others may join), the host's, those of a
   * container that is `shareable`; `none`: its own, without /dev/shm. @default 'private' `--ipc`
   */
  readonly ipc?: 'private' | 'shareable' | 'none' | 'host' | OfContainer;
  /** Host name: its own or the host's. @default 'private' `--uts` */
  readonly uts?: 'private' | 'host';
  /** The cgroup that holds the container's own, below the root of each hierarchy: `batch/nightly`. @default the configuration file's, or Coracle's `--cgroup-parent` */
  readonly cgroupParent?: string;

  /** Where the output of a detached container is kept. @default json-file, as Docker's `--log-driver --log-opt` */
  readonly log?: LogOptions;
  /** When a detached container is started again after it ended. @default never `--restart` */
  readonly restart?: RestartPolicy;
  /** How a detached container is found to be well; `none`: not at all. @default the image's `--health-cmd --no-healthcheck` */
  readonly healthcheck?: 'none' | HealthcheckOptions;

  /** Run a minimal pid 1 that forwards signals and reaps. @default false `--init` */
  readonly init?: boolean;
  /** What `stop` sends first: `SIGTERM`, `TERM` or a number. @default the image's, or SIGTERM `--stop-signal` */
  readonly stopSignal?: string;
  /** How long `stop` waits before it kills; -1 = for ever. @default 10 000 `--stop-timeout` */
  readonly stopTimeoutMs?: number;
  /** Remove the container with its anonymous volumes when it exits. @default true for `run`, false for `create` and behind Docker-shaped doors `--rm` */
  readonly autoRemove?: boolean;

  /** `os/architecture[/variant]` of the image. @default the host's `--platform` */
  readonly platform?: string;
  /** Whether to ask the registry for the image: when it is not here, each time, or not at all. @default 'missing' `--pull` */
  readonly pull?: 'missing' | 'always' | 'never';
  /** Aborted before `run` resolved: it rejects with `signal.reason` and nothing stays. Later: the container is killed and `exit` says so. */
  readonly signal?: AbortSignal;
}

/** By id, its beginning, or name. */
export type OfContainer = `container:${string}`;

export type StdinSource = 'ignore' | 'pipe' | 'inherit' | StdinContent;

/** Bytes for the program to read; a `string` that is none of the three words has to come as bytes or as `{text}`. */
export type StdinContent = Uint8Array | {readonly text: string} | AsyncIterable<Uint8Array | string>;

/** Each as `inspect` shows it; what is absent is told from the other options. */
export interface AsWritten {
  /** Without the document of a seccomp profile: `seccomp` alone stands for it. `--security-opt` */
  readonly securityOptions?: readonly string[];
  /** `--userns` */
  readonly userNamespace?: 'host';
  /** Of an init that was refused. `--init=false` */
  readonly init?: false;
  /** Whether any volume is of it or not. `--volume-driver` */
  readonly volumeDriver?: string;
  /** With its slashes. `--cgroup-parent` */
  readonly cgroupParent?: string;
}

/** Docker's log drivers: `json-file` and `local` write files that rotate, `none` keeps nothing. */
export interface LogOptions {
  readonly driver: 'json-file' | 'local' | 'journald' | 'none';
  /**
   * `max-size` (units of 1000), `max-file`, `compress`; json-file and journald: `labels`, `labels-regex`, `env`,
   * `env-regex`, `tag`. `mode` and `max-buffer-size` are checked and kept, and change nothing. @default {}
   */
  readonly options?: Readonly<Record<string, string>>;
}

/** `on-failure`: after an exit code other than 0, as often as `maximumRetries` says (0 = always). */
export interface RestartPolicy {
  readonly name: 'no' | 'on-failure' | 'always' | 'unless-stopped';
  readonly maximumRetries?: number;
}

/** What is not said, or 0, is the image's, and then Docker's default. Times are from 1 ms on, and may have fractions. */
export interface HealthcheckOptions {
  /**
   * Run in the container as its user: well is what ends with code 0. A string is for the container's shell, a list is
   * executed as it is. `--health-cmd`
   */
  readonly command?: string | readonly string[];
  /** From the end of one to the beginning of the next. @default 30 000 `--health-interval` */
  readonly intervalMs?: number;
  /** Then it is killed, and has failed. @default 30 000 `--health-timeout` */
  readonly timeoutMs?: number;
  /** So many failures one after the other make the container unhealthy. @default 3 `--health-retries` */
  readonly retries?: number;
  /** As long after its start failures do not count, unless it was well before. @default 0 `--health-start-period` */
  readonly startPeriodMs?: number;
  /** The interval until it is well for the first time, or the start period is over. @default 5000 `--health-start-interval` */
  readonly startIntervalMs?: number;
}

export type OutputTarget = 'pipe' | 'inherit' | 'ignore';

export type Mount = BindMount | VolumeMount | TmpfsMount;

interface MountCommon {
  /** Absolute path inside; made when the image lacks it. Not "/". */
  readonly target: string;
  /** @default false */
  readonly readOnly?: boolean;
  /** The text of `-v` or `--tmpfs` that this mount came from: `inspect` then shows it where Docker does. */
  readonly writtenAs?: string;
}

/** A file or directory of the host's. */
export interface BindMount extends MountCommon {
  readonly type: 'bind';
  /** Absolute path on the host. */
  readonly source: string;
  /** mount_namespaces(7), PROPAGATION TYPES. @default 'rprivate' */
  readonly propagation?: Propagation;
  /** Make a missing source as a directory, as `-v` does; otherwise `ERR_MOUNT_SOURCE`. @default false */
  readonly createSource?: boolean;
  /** Only the file system at the source, not what is mounted below it. @default false */
  readonly nonRecursive?: boolean;
  /** With `readOnly`: what is mounted below the source may be written to. @default false */
  readonly writableBelow?: boolean;
}

export type Propagation = 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave';

/** A named volume, made when it does not exist; without a name an anonymous one that lives as long as the container. */
export interface VolumeMount extends MountCommon {
  readonly type: 'volume';
  readonly name?: string;
  /** Leave an empty volume empty instead of copying what the image has at the target. @default false */
  readonly nocopy?: boolean;
  /** A directory or file of the volume's, which has to be there: relative, without "..". @default the whole volume */
  readonly subpath?: string;
  /** Of a volume that is made for this: as `Volume.create` takes them. @default 'local', {}, {} */
  readonly driver?: string;
  readonly driverOptions?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A file system in memory, gone with the container. Counted against the memory limit. */
export interface TmpfsMount extends MountCommon {
  readonly type: 'tmpfs';
  /** @default half of the host's memory (the kernel's own default) */
  readonly sizeBytes?: number;
  /** Permission bits of its root, e.g. 0o700. @default those of the directory at the target, 0o1777 where there is none */
  readonly mode?: number;
  /** Owner of its root. @default 0 */
  readonly uid?: number;
  readonly gid?: number;
  /** Most files it may hold. @default the kernel's */
  readonly inodes?: number;
  /** Allow executing, setuid bits, device nodes. @default false, each */
  readonly exec?: boolean;
  readonly suid?: boolean;
  readonly dev?: boolean;
}

export interface Device {
  /** Absolute path on the host: a device node, or a directory of which each node is taken. */
  readonly source: string;
  /** @default the source's path */
  readonly target?: string;
  /** Letters of "rwm": read, write, mknod. @default 'rwm' */
  readonly access?: string;
}

export const ULIMIT_NAMES = [
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
] as const;

export type UlimitName = (typeof ULIMIT_NAMES)[number];

/** In the unit that setrlimit(2) gives the resource; -1 = RLIM_INFINITY. */
export interface Ulimit {
  readonly soft: number;
  readonly hard: number;
}

/** A seccomp profile in Docker's JSON format; checked in full when it is compiled. */
export interface SeccompDocument {
  readonly defaultAction: string;
  readonly [key: string]: unknown;
}

export interface UserNamespaceMap {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

/** `count` ids from `inside` on are `outside` and the following on the host: user_namespaces(7). */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}
