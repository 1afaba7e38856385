import {readdirSync, readFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';

/**
 * A monitor or a launcher that was killed takes its helpers along, starters, spawners and cleaners; but what they are at in
 * the kernel at that moment they finish, maybe after somebody has looked for what was left. Resolves when all are dead. They
 * are known by their session, which is their leader's alone as long as it has a member.
 * @param leaders pids of what was killed
 */
export async function awaitHelpers(leaders: Iterable<number>): Promise<void> {
  const sessions = new Set(leaders);
  if (sessions.size === 0) return;
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until && hasHelpers(sessions)) await sleep(2);
}

/** One that waits for a device or a dead network file system is nobody's to wait for. */
const PATIENCE_MS = 2000;

function hasHelpers(sessions: ReadonlySet<number>): boolean {
  return readdirSync('/proc').some(name => /^\d/.test(name) && isHelper(name, sessions));
}

/** proc_pid_stat(5): name, state, ppid, pgrp, session. What was executed in a container has another name. */
function isHelper(pid: string, sessions: ReadonlySet<number>): boolean {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return false; // gone
  }
  const [, session] = /^\d+ \(coracle-.*\) [^ZX] \d+ \d+ (\d+) /s.exec(text) ?? [];
  return session !== undefined && sessions.has(Number(session));
}
