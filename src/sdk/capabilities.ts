import {readFileSync} from 'node:fs';
import {CoracleError} from '../errors.js';
import {nearestName} from './nearest-name.js';

/** The kernel's capabilities; the index is the number: linux/capability.h, complete since Linux 5.9. */
export const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
] as const;

export type Capability = (typeof CAPABILITIES)[number];

/** What Docker leaves to a container, in the order of its OCI config: moby, oci/caps/defaults.go. */
export const DOCKER_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
] as const satisfies readonly Capability[];

export interface CapabilityRequest {
  /** Names as `--cap-add` takes them: any case, with or without `CAP_`, or `ALL`. @default none */
  readonly add?: readonly string[];
  /** Names as `--cap-drop` takes them. @default none */
  readonly drop?: readonly string[];
  /** Everything the host has; `add` and `drop` are checked and have no effect, as in Docker. @default false */
  readonly privileged?: boolean;
}

/**
 * The capabilities of a container's bounding set, bit n for number n, by Docker's rules: `add: ALL` is everything the
 * host has but what is dropped; `drop: ALL` leaves what is added; otherwise the defaults without the dropped and with
 * the added ones. A name both added and dropped is added.
 *
 * What the host itself has not cannot be given: of the defaults it is left out, added by name it is an error.
 * @param available the host's bounding set: `hostCapabilities()`
 * @throws CoracleError `ERR_INVALID_OPTION` with Docker's words
 */
export function resolveCapabilities(request: CapabilityRequest, available: bigint): bigint {
  const add = parseNames('CapAdd', request.add ?? []);
  const drop = parseNames('CapDrop', request.drop ?? []);
  if (request.privileged) return available;
  const dropped = capabilityMask(drop.names);
  if (add.all) return available & ~dropped;
  const missing = add.names.find(name => (capabilityMask([name]) & available) === 0n);
  if (missing !== undefined) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `invalid CapAdd: capability not supported by your kernel or not available in the current environment: "${missing}"`,
      {
        hint: `This process may not hand on ${missing}: CapBnd in /proc/self/status is without it.`,
        details: {option: 'capabilities.add'},
      },
    );
  }
  const kept = drop.all ? 0n : capabilityMask(DOCKER_CAPABILITIES) & available & ~dropped;
  return kept | capabilityMask(add.names);
}

/** The mask with bit n for capability number n, as capset(2) and `/proc/PID/status` have it. */
export function capabilityMask(names: Iterable<Capability>): bigint {
  let mask = 0n;
  for (const name of names) mask |= 1n << BigInt(CAPABILITIES.indexOf(name));
  return mask;
}

/** The names in a mask, by number. Bits that have no name yet (a kernel newer than this list) are left out. */
export function capabilityNames(mask: bigint): Capability[] {
  return CAPABILITIES.filter((_, number) => (mask >> BigInt(number)) & 1n);
}

/**
 * What this process can hand on: its bounding set, `CapBnd` of `/proc/self/status` (capabilities(7)).
 * @param status the text of that file, for tests
 */
export function hostCapabilities(status: string = readFileSync('/proc/self/status', 'latin1')): bigint {
  const bounding = /^CapBnd:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  if (bounding === undefined) throw new Error('/proc/self/status has no CapBnd line');
  return BigInt(`0x${bounding}`);
}

function parseNames(field: 'CapAdd' | 'CapDrop', texts: readonly string[]) {
  const names: Capability[] = [];
  let all = false;
  for (const text of texts) {
    const upper = text.toUpperCase();
    // "CAP_ALL" is no name: Docker refuses it too.
    if (upper === 'ALL') all = true;
    else names.push(parseName(field, upper.startsWith('CAP_') ? upper : `CAP_${upper}`));
  }
  return {all, names};
}

function parseName(field: 'CapAdd' | 'CapDrop', name: string): Capability {
  if ((CAPABILITIES as readonly string[]).includes(name)) return name as Capability;
  const meant = nearestName(name, CAPABILITIES);
  throw new CoracleError(
    'ERR_INVALID_OPTION',
    `invalid ${field}: unknown capability: ${JSON.stringify(name)}`,
    {
      hint: meant ? `Did you mean ${meant}?` : 'capabilities(7) lists them.',
      details: {option: field === 'CapAdd' ? 'capabilities.add' : 'capabilities.drop'},
    },
  );
}
