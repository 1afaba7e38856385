import {readFileSync} from 'node:fs';
import {signalProcess} from '../binding/index.js';

/**
 * Kills what is left of a session in a container: its leader's pid, as the host counts, names it and is nobody else's as
 * long as it has a member. What left the session for one of its own is left alone, as by a terminal that hangs up.
 * @param cgroups the container's; without any nothing is found
 */
export async function killSession(cgroups: Readonly<Record<string, string>>, session: number): Promise<void> {
  const [directory] = Object.values(cgroups);
  if (directory === undefined) return;
  // Whoever is being killed may have forked a moment before; each round finds fewer.
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const members = pidsIn(directory).flatMap(pid => memberOf(pid, session));
    if (members.length === 0) return;
    for (const member of members) signalProcess(member, SIGKILL);
    await new Promise(resolve => setImmediate(resolve));
  }
}

const SIGKILL = 9;
const MOST_ROUNDS = 100;

function pidsIn(directory: string): number[] {
  return textOf(`${directory}/cgroup.procs`)
    .split('\n')
    .map(Number)
    .filter(pid => pid > 0);
}

/** proc_pid_stat(5): state, ppid, pgrp, session; field 22 is the start time. The dead do not count. */
function memberOf(pid: number, session: number) {
  const fields = textOf(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ');
  const isMember = Number(fields[3]) === session && !/^[ZX]/.test(fields[0] ?? '');
  return isMember ? [{pid, startTime: Number(fields[19])}] : [];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // gone
  }
}
