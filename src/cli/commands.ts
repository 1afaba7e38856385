import type {Command} from './command.js';

/** The loader of a command's file: only the one that runs is read, which is most of what `--help` costs less. */
export interface Entry {
  readonly summary: string;
  readonly load: () => Promise<{readonly command: Command}>;
}

/** All commands by name, in the order of `--help`. */
export const COMMANDS: Readonly<Record<string, Entry>> = {
  run: {summary: 'Create and run a new container from an image', load: () => import('./run.js')},
  create: {summary: 'Create a new container', load: () => import('./create.js')},
  start: {summary: 'Start one or more stopped containers', load: () => import('./start.js')},
  stop: {summary: 'Stop one or more running containers', load: () => import('./stop.js')},
  restart: {summary: 'Restart one or more containers', load: () => import('./restart.js')},
  kill: {summary: 'Kill one or more running containers', load: () => import('./kill.js')},
  pause: {
    summary: 'Pause all processes within one or more containers',
    load: () => import('./pause.js'),
  },
  unpause: {
    summary: 'Unpause all processes within one or more containers',
    load: () => import('./unpause.js'),
  },
  top: {summary: 'Display the running processes of a container', load: () => import('./top.js')},
  stats: {
    summary: 'Display a live stream of container(s) resource usage statistics',
    load: () => import('./stats.js'),
  },
  exec: {summary: 'Execute a command in a running container', load: () => import('./exec.js')},
  wait: {
    summary: 'Block until containers stop, then print their exit codes',
    load: () => import('./wait.js'),
  },
  cp: {
    summary: 'Copy files/folders between a container and the local filesystem',
    load: () => import('./cp.js'),
  },
  diff: {
    summary: "Inspect changes to files or directories on a container's filesystem",
    load: () => import('./diff.js'),
  },
  commit: {summary: "Create a new image from a container's changes", load: () => import('./commit.js')},
  update: {
    summary: 'Update configuration of one or more containers',
    load: () => import('./update.js'),
  },
  export: {
    summary: "Export a container's filesystem as a tar archive",
    load: () => import('./export.js'),
  },
  rename: {summary: 'Rename a container', load: () => import('./rename.js')},
  port: {
    summary: 'List port mappings or a specific mapping for the container',
    load: () => import('./port.js'),
  },
  ps: {summary: 'List containers', load: () => import('./ps.js')},
  attach: {
    summary: 'Attach local standard input, output, and error streams to a running container',
    load: () => import('./attach.js'),
  },
  logs: {summary: 'Fetch the logs of a container', load: () => import('./logs.js')},
  rm: {summary: 'Remove one or more containers', load: () => import('./rm.js')},
  inspect: {summary: 'Return low-level information on objects', load: () => import('./inspect.js')},
  'container inspect': {
    summary: 'Display detailed information on containers',
    load: () => import('./container-inspect.js'),
  },
  'container prune': {summary: 'Remove all stopped containers', load: () => import('./container-prune.js')},
  'image history': {
    summary: 'Show the history of an image',
    load: () => import('./image-history.js'),
  },
  'image copy': {
    summary: 'Copy an image with all its platforms from one registry to another',
    load: () => import('./image-copy.js'),
  },
  'builder prune': {summary: 'Remove build cache', load: () => import('./builder-prune.js')},
  build: {summary: 'Build an image from a Dockerfile', load: () => import('./build.js')},
  'image ls': {summary: 'List images', load: () => import('./image-ls.js')},
  'image import': {summary: 'Make an image of a tarball', load: () => import('./image-import.js')},
  'image load': {summary: 'Load an image from a tar archive or STDIN', load: () => import('./image-load.js')},
  'image save': {
    summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
    load: () => import('./image-save.js'),
  },
  'image from-host': {
    summary: "Make an image of this host's programs",
    load: () => import('./image-from-host.js'),
  },
  'image inspect': {
    summary: 'Display detailed information on images',
    load: () => import('./image-inspect.js'),
  },
  'image prune': {summary: 'Remove unused images', load: () => import('./image-prune.js')},
  'image pull': {summary: 'Download an image from a registry', load: () => import('./image-pull.js')},
  'image push': {summary: 'Upload an image to a registry', load: () => import('./image-push.js')},
  'image rm': {summary: 'Remove one or more images', load: () => import('./image-rm.js')},
  'image sign': {
    summary: 'Sign an image in its registry with a key of your own',
    load: () => import('./image-sign.js'),
  },
  'image tag': {
    summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
    load: () => import('./image-tag.js'),
  },
  'image verify': {
    summary: 'Say whether an image in its registry was signed with a key',
    load: () => import('./image-verify.js'),
  },
  login: {summary: 'Authenticate to a registry', load: () => import('./login.js')},
  logout: {summary: 'Log out from a registry', load: () => import('./logout.js')},
  'manifest inspect': {
    summary: 'Display an image manifest, or manifest list, of a registry, without pulling it',
    load: () => import('./manifest-inspect.js'),
  },
  search: {summary: 'Search a registry for images', load: () => import('./search.js')},
  tags: {
    summary: 'List the tags that a repository has in its registry',
    load: () => import('./tags.js'),
  },
  'network connect': {
    summary: 'Connect a container to a network',
    load: () => import('./network-connect.js'),
  },
  'network create': {summary: 'Create a network', load: () => import('./network-create.js')},
  'network disconnect': {
    summary: 'Disconnect a container from a network',
    load: () => import('./network-disconnect.js'),
  },
  'network inspect': {
    summary: 'Display detailed information on networks',
    load: () => import('./network-inspect.js'),
  },
  'network ls': {summary: 'List networks', load: () => import('./network-ls.js')},
  'network prune': {summary: 'Remove all unused networks', load: () => import('./network-prune.js')},
  'network rm': {summary: 'Remove one or more networks', load: () => import('./network-rm.js')},
  backup: {
    summary: 'Save volumes as one snapshot, or in a file',
    load: () => import('./backup.js'),
  },
  restore: {summary: 'Bring back what backup saved', load: () => import('./restore.js')},
  snapshots: {summary: 'List the snapshots of a backup repository', load: () => import('./snapshots.js')},
  verify: {summary: 'Read a backup repository again', load: () => import('./verify.js')},
  drill: {
    summary: 'Prove a snapshot: restore it and start its application',
    load: () => import('./drill.js'),
  },
  forget: {summary: 'Remove snapshots of a backup repository', load: () => import('./forget.js')},
  'snapshot copy': {
    summary: 'Copy snapshots of a backup repository to another place',
    load: () => import('./snapshot-copy.js'),
  },
  'key add': {summary: 'Let one more key open a backup repository', load: () => import('./key-add.js')},
  'key ls': {summary: 'List the keys that open a backup repository', load: () => import('./key-ls.js')},
  'key rm': {summary: 'Let keys open a backup repository no more', load: () => import('./key-rm.js')},
  schedule: {summary: 'Run backups when they are due', load: () => import('./schedule.js')},
  'volume clone': {
    summary: 'Make a volume with the content of another one',
    load: () => import('./volume-clone.js'),
  },
  'volume copy': {
    summary: 'Copy a volume to another root, or under another name',
    load: () => import('./volume-copy.js'),
  },
  'volume create': {summary: 'Create a volume', load: () => import('./volume-create.js')},
  'volume export': {
    summary: "Export a volume's content as a tar archive",
    load: () => import('./volume-export.js'),
  },
  'volume import': {summary: 'Make a volume from a tar archive', load: () => import('./volume-import.js')},
  'volume inspect': {
    summary: 'Display detailed information on volumes',
    load: () => import('./volume-inspect.js'),
  },
  'volume ls': {summary: 'List volumes', load: () => import('./volume-ls.js')},
  'volume prune': {summary: 'Remove unused local volumes', load: () => import('./volume-prune.js')},
  'volume rm': {summary: 'Remove one or more volumes', load: () => import('./volume-rm.js')},
  'system df': {summary: 'Show disk usage', load: () => import('./system-df.js')},
  'system prune': {summary: 'Remove unused data', load: () => import('./system-prune.js')},
  events: {summary: 'Get real time events from the server', load: () => import('./events.js')},
  boot: {
    summary: 'Start what its restart policy wants to run after a boot',
    load: () => import('./boot.js'),
  },
  'generate systemd': {
    summary: "Write a systemd unit that runs 'coracle boot'",
    load: () => import('./generate-systemd.js'),
  },
  info: {summary: 'Display system-wide information', load: () => import('./info.js')},
  version: {summary: 'Show version information', load: () => import('./version.js')},
  doctor: {
    summary: 'Say what this host can enforce, and how to lift each limit',
    load: () => import('./doctor.js'),
  },
};

/** Docker's short and long forms. */
export const ALIASES: Readonly<Record<string, string>> = {
  history: 'image history',
  'image build': 'build',
  'builder build': 'build',
  images: 'image ls',
  'image list': 'image ls',
  import: 'image import',
  load: 'image load',
  pull: 'image pull',
  push: 'image push',
  save: 'image save',
  rmi: 'image rm',
  tag: 'image tag',
  'image remove': 'image rm',
  'key list': 'key ls',
  'key remove': 'key rm',
  'network list': 'network ls',
  'network remove': 'network rm',
  'volume list': 'volume ls',
  'volume remove': 'volume rm',
  'container ls': 'ps',
  'container list': 'ps',
  'container ps': 'ps',
  'container remove': 'rm',
  'system events': 'events',
  'system info': 'info',
  ...Object.fromEntries(
    'attach commit cp create diff exec export kill logs pause port rename restart rm run start stats stop top unpause update wait'
      .split(' ')
      .map(name => [`container ${name}`, name]),
  ),
};

/** First words of commands of two. */
export const GROUPS: Readonly<Record<string, string>> = {
  builder: 'Manage builds',
  container: 'Manage containers',
  generate: 'Generate files for other programs',
  image: 'Manage images',
  key: 'Manage the keys of backup repositories',
  manifest: 'Manage image manifests of registries',
  network: 'Manage networks',
  snapshot: 'Manage snapshots of backup repositories',
  system: 'Manage Coracle',
  volume: 'Manage volumes',
};
