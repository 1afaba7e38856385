import type {Condition} from './profile.js';

/**
 * On 32-bit x86 the calls of sockets and of System V IPC also go through one call each, whose first argument says which
 * is meant: socketcall(2), ipc(2). A rule about `socket` has to hold for `socketcall(1, …)` too.
 */
export interface Multiplexed {
  readonly through: 'socketcall' | 'ipc';
  readonly selector: number;
}

// linux/net.h: SYS_SOCKET = 1, SYS_BIND = 2, …
const SOCKETCALLS = `socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown
  setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg`;
// linux/ipc.h
const IPC_CALLS = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};

let multiplexed: ReadonlyMap<string, Multiplexed> | undefined;

const readTables = (): ReadonlyMap<string, Multiplexed> =>
  new Map([
    ...SOCKETCALLS.split(/\s+/).map((name, index): [string, Multiplexed] => [
      name,
      {through: 'socketcall', selector: index + 1},
    ]),
    ...Object.entries(IPC_CALLS).map(([name, selector]): [string, Multiplexed] => [
      name,
      {through: 'ipc', selector},
    ]),
  ]);

export function multiplexedOnX86(name: string): Multiplexed | undefined {
  multiplexed ??= readTables();
  return multiplexed.get(name);
}

/**
 * The conditions of a rule for the multiplexing call: the selector instead of what was said about argument 0. The
 * call's real arguments are in memory, where a filter cannot look; the others stay as they are, as libseccomp has it.
 */
export function conditionsThrough({selector}: Multiplexed, conditions: readonly Condition[]): Condition[] {
  const which: Condition = {index: 0, comparison: 'EQ', value: BigInt(selector), valueTwo: 0n};
  return [which, ...conditions.filter(({index}) => index !== 0)];
}
