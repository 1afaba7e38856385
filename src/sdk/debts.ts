/**
 * What a process owes containers that it holds still for a while: to let them go on, to start them again, to run a command in
 * them. It is written down before anything is done to them; should the process not live to pay, the next opening of the
 * store does: see `hold-still.ts`.
 */
import {randomBytes} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {identifyProcess, isAlive, type ProcessIdentity} from '../binding/index.js';
import type {CoracleError} from '../errors.js';
import {readRecord, withLock, writeRecord} from '../store/index.js';
import type {Runtime} from './runtime.js';

export type Debt = {
  /** Of the container. */
  readonly id: string;
} & (
  | {readonly kind: 'thaw'}
  /** @param startedAt of the run that was stopped */
  | {readonly kind: 'start'; readonly startedAt: string}
  | {readonly kind: 'command'; readonly command: readonly string[]; readonly deadlineMs: number}
);

export interface Debts {
  readonly owner: ProcessIdentity;
  /** The number of a process counts within a boot. */
  readonly boot: string;
  /** The first that was taken on comes first: it is paid last. */
  readonly debts: readonly Debt[];
}

/** Debts of this process. */
export class DebtRecord {
  readonly #path: string;
  readonly #work: string;
  #debts: readonly Debt[] = [];

  constructor({store}: Pick<Runtime, 'store'>) {
    const directory = directoryOf(store.root);
    this.#work = store.work;
    mkdirSync(directory, {recursive: true, mode: 0o700});
    this.#path = join(directory, `${randomBytes(8).toString('hex')}.json`);
  }

  /** It is on disk when this returns. */
  add(debt: Debt): void {
    this.#debts = [...this.#debts, debt];
    this.#write();
  }

  paid(debt: Debt): void {
    this.#debts = this.#debts.filter(each => each !== debt);
    if (this.#debts.length === 0) rmSync(this.#path, {force: true});
    else this.#write();
  }

  /** Whether somebody else who lives holds the container paused as well. With the lock of `whileHolding`. */
  sharesPause(id: string): boolean {
    return this.owedByOthers(id).has('thaw');
  }

  /** How others who live hold the container. */
  owedByOthers(id: string): ReadonlySet<Debt['kind']> {
    return owedToContainer(dirname(this.#path), id, this.#path);
  }

  #write(): void {
    const owner = identifyProcess(process.pid) ?? {pid: process.pid, startTime: 0};
    // A power cut ends pauses and what commands have begun, but not that a container was stopped.
    const durable = this.#debts.some(({kind}) => kind === 'start');
    writeRecord(this.#path, {owner, boot: bootId(), debts: this.#debts} satisfies Debts, {
      durable,
      work: this.#work,
    });
  }
}

function directoryOf(root: string): string {
  return join(root, 'held');
}

/** Nobody takes on a debt, begins or ends a pause amid this. */
export async function whileHolding<T>({store}: Pick<Runtime, 'store'>, work: () => Promise<T>): Promise<T> {
  return await withLock(join(directoryOf(store.root), 'holding.lock'), work);
}

/** By those who live. @param except path of a record that does not count */
export function owedToContainer(directory: string, id: string, except?: string): ReadonlySet<Debt['kind']> {
  const boot = bootId();
  const kinds = pathsIn(directory).flatMap(path => {
    const record = path === except ? undefined : (readRecord(path) as Debts | undefined);
    if (record === undefined || record.boot !== boot || !isAlive(record.owner)) return [];
    return record.debts.filter(debt => debt.id === id).map(({kind}) => kind);
  });
  return new Set(kinds);
}

function pathsIn(directory: string): string[] {
  return readdirSync(directory).flatMap(name => (name.endsWith('.json') ? [join(directory, name)] : []));
}

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

/** Pays for processes that did not live to. */
export async function payDebts(runtime: Runtime): Promise<void> {
  const directory = directoryOf(runtime.store.root);
  if (!existsSync(directory)) return;
  const paths = pathsIn(directory);
  if (paths.length === 0) return;
  const {payAll} = await import('./pay-debts.js');
  await payAll(runtime, join(directory, 'lock'), paths);
}

/** The container is gone, or is as it should be by somebody else's doing. */
export function isMoot(error: unknown): boolean {
  return [
    'ERR_CONTAINER_NOT_RUNNING',
    'ERR_CONTAINER_NOT_FOUND',
    'ERR_CONTAINER_PAUSED',
    'ERR_CONTAINER_NOT_PAUSED',
    'ERR_CONTAINER_RUNNING',
  ].includes((error as CoracleError).code);
}
