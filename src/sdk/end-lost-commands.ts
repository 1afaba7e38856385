import {readFileSync} from 'node:fs';
import {signalProcess} from '../binding/index.js';
import {isFrozen, processesIn, releaseKilled} from '../cgroup/index.js';

/**
 * A command that was on its way into a container when that was paused stands in its cgroup. Should its launcher die, it would
 * learn of that after the thaw, and on cgroup v1 even SIGKILL waits for it: it is ended here, and the container stands on.
 * @param cgroups the container's, by controller; '' is that of v2
 */
export async function endLostCommands(cgroups: Readonly<Record<string, string>>): Promise<void> {
  const place = cgroups['freezer'] ?? cgroups[''];
  if (place === undefined || !(await isFrozen(cgroups))) return;
  const inside = await processesIn({'': place});
  for (const pid of inside) {
    const helper = lostHelper(pid, inside);
    if (helper !== undefined && signalProcess(helper, SIGKILL)) releaseKilled(cgroups, pid);
  }
}

const SIGKILL = 9;

/**
 * Whose parent is nobody of ours any more. What a container itself calls so has its parent inside.
 * @see proc_pid_stat(5): name, state, ppid; field 22 is the start time
 */
function lostHelper(pid: number, inside: readonly number[]) {
  const [, rest] = /^\d+ \(coracle-enter\) (.*)/s.exec(textOf(`/proc/${pid}/stat`)) ?? [];
  if (rest === undefined) return undefined;
  const fields = rest.split(' ');
  const parent = Number(fields[1]);
  const isAttended = /^coracle-(super|monitor)\n$/.test(textOf(`/proc/${parent}/comm`));
  if (parent === 0 || isAttended || inside.includes(parent)) return undefined;
  return {pid, startTime: Number(fields[19])};
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // gone
  }
}
