/** Where the kernel mounted its cgroup hierarchies, and where this process stands in each: proc_pid_mountinfo(5), cgroups(7). */
export interface CgroupMounts {
  /** v1 controller → its hierarchy; co-mounted controllers (`cpu,cpuacct`) share one object. */
  readonly v1: ReadonlyMap<string, HierarchyMount>;
  readonly v2: HierarchyMount | undefined;
}

export interface HierarchyMount {
  readonly mountPoint: string;
  /** This process's own cgroup as a directory below the mount point; equal to it when not visible there. */
  readonly ownDirectory: string;
}

/**
 * Reads the text of `/proc/self/mountinfo` and `/proc/self/cgroup`. Mounts outside `root` are left out: a second view
 * of the same hierarchy (systemd's credentials, another program's private mount) is not ours to use.
 */
export function findCgroupMounts(root: string, mountinfo: string, selfCgroup: string): CgroupMounts {
  const ownPaths = parseSelfCgroup(selfCgroup);
  const v1 = new Map<string, HierarchyMount>();
  let v2: HierarchyMount | undefined;
  for (const line of mountinfo.split('\n')) {
    const mount = parseMountLine(line);
    if (mount === undefined || !isBelow(root, mount.mountPoint)) continue;
    if (mount.type === 'cgroup2') {
      v2 ??= hierarchy(mount, ownPaths.get(''));
    } else if (mount.type === 'cgroup') {
      const controllers = mount.superOptions.filter(option => ownPaths.has(option));
      const first = controllers[0];
      if (first === undefined) continue;
      const found = v1.get(first) ?? hierarchy(mount, ownPaths.get(first));
      for (const controller of controllers) if (!v1.has(controller)) v1.set(controller, found);
    }
  }
  return {v1, v2};
}

interface MountLine {
  readonly type: string;
  /** The directory of the file system that is mounted: "/" unless a cgroup namespace or bind mount narrows it. */
  readonly rootInside: string;
  readonly mountPoint: string;
  readonly superOptions: readonly string[];
}

function parseMountLine(line: string): MountLine | undefined {
  const [before, after] = line.split(' - ');
  if (before === undefined || after === undefined) return undefined;
  const [, , , rootInside, mountPoint] = before.split(' ');
  const [type, , superOptions = ''] = after.split(' ');
  if (rootInside === undefined || mountPoint === undefined || type === undefined) return undefined;
  return {
    type,
    rootInside: unescapeOctal(rootInside),
    mountPoint: unescapeOctal(mountPoint),
    superOptions: superOptions.split(','),
  };
}

/** Blanks in paths are written as `\040` and the like. */
function unescapeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** Controller → path of our own cgroup; "" is the unified hierarchy, `name=systemd` the named one. */
function parseSelfCgroup(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) paths.set(controller, path);
  }
  return paths;
}

function hierarchy(mount: MountLine, ownPath: string | undefined): HierarchyMount {
  const inside = mount.rootInside === '/' ? '' : mount.rootInside;
  // A path that leaves the mount ("/../x" in a cgroup namespace, or another branch) has no directory we could see.
  const visible =
    ownPath !== undefined && isBelow(inside === '' ? '/' : inside, ownPath) && !ownPath.includes('/..');
  const below = visible ? ownPath.slice(inside.length).replace(/\/+$/, '') : '';
  return {mountPoint: mount.mountPoint, ownDirectory: mount.mountPoint + below};
}

function isBelow(root: string, path: string): boolean {
  return root === '/' || path === root || path.startsWith(`${root}/`);
}
