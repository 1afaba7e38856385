/** Secrets of builds as files, in memory where the host's run-time directory is, for as long as one command needs them. */
import {randomBytes} from 'node:crypto';
import {chmodSync, chownSync, mkdirSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {identifyProcess, isAlive, isHostRoot} from '../binding/index.js';

export interface SecretFile extends Disposable {
  readonly path: string;
}

export function writeSecret(
  live: string,
  content: Uint8Array,
  {mode, uid, gid}: {readonly mode: number; readonly uid: number; readonly gid: number},
): SecretFile {
  const {pid, startTime} = identifyProcess(process.pid)!;
  const directory = join(live, SECRETS, `${pid}-${startTime}-${randomBytes(6).toString('hex')}`);
  mkdirSync(directory, {recursive: true, mode: 0o700});
  const remove = () => rmSync(directory, {recursive: true, force: true});
  try {
    const path = join(directory, 'secret');
    writeFileSync(path, content, {mode: 0o600, flag: 'wx'});
    if (isHostRoot()) chownSync(path, uid, gid);
    chmodSync(path, mode);
    return {path, [Symbol.dispose]: remove};
  } catch (error) {
    remove();
    throw error;
  }
}

/** Those of processes that died. */
export function sweepSecrets(live: string): void {
  let names: string[];
  try {
    names = readdirSync(join(live, SECRETS));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  for (const name of names) {
    const [pid, startTime] = name.split('-').map(Number);
    if (!isAlive({pid: pid ?? 0, startTime: startTime ?? 0}))
      rmSync(join(live, SECRETS, name), {recursive: true, force: true});
  }
}

const SECRETS = 'secrets';
