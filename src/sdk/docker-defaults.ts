import {existsSync, readFileSync} from 'node:fs';

/**
 * What Docker gives a container that asks for nothing special, taken from the OCI config.json that dockerd writes
 * (test/fixtures/docker) and, where it changed since 20.10, from moby 28.5: oci/defaults.go.
 */

/** The PATH of a container whose image sets none. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Of /dev/shm, in bytes; `--shm-size`. */
export const DEFAULT_SHM_BYTES = 64 * 1024 * 1024;

/** Covered by an empty read-only tmpfs (directories) or the null device (files) where they exist; not when privileged. */
export const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  // Counts of single interrupts tell what other containers type and receive: moby GHSA-6fw5-f8r9-fgfm.
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  // Power readings leak keys of others on the host: moby GHSA-jq35-85cj-fj4p (20.10.27, 24.0.7).
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

/** Bind-mounted over themselves read-only where they exist; not when privileged. */
export const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/**
 * Set in a network namespace of the container's own, unless it sets them itself: a process without privileges may bind
 * port 80 and open ICMP sockets, since neither reaches beyond that namespace (moby#41030).
 */
export const NETWORK_SYSCTLS: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 2147483647',
};

let throttlePaths: string[] | undefined;

/**
 * `MASKED_PATHS` and, of every processor of this host that has it, the directory that counts thermal events, which
 * leaks like /proc/interrupts (the same advisory). The host is asked once: processors that can appear are counted.
 */
export function hostMaskedPaths(): readonly string[] {
  throttlePaths ??= possibleProcessors(readFileSync('/sys/devices/system/cpu/possible', 'latin1'))
    .map(number => `/sys/devices/system/cpu/cpu${number}/thermal_throttle`)
    .filter(existsSync);
  return [...MASKED_PATHS, ...throttlePaths];
}

/** `0-3,8` as the kernel writes lists of processors: https://docs.kernel.org/admin-guide/cputopology.html */
function possibleProcessors(list: string): number[] {
  return list
    .trim()
    .split(',')
    .flatMap(range => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return Array.from({length: last - first + 1}, (_, index) => first + index);
    });
}
