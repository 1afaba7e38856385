/**
 * Starts ahead of time: after two starts of one kind in a row, what the third will need is made while nothing else is to be
 * done, all but its program: namespaces, cgroups, root file system, /proc, /dev, in a process that waits for the rest of its plan. A
 * start that finds one takes a quarter of the time. Each is used once; one that nobody wanted for ten seconds goes.
 *
 * Whatever the caller has outside is never held: containers with binds, volumes or devices start on demand.
 */
import {setTimeout as sleep} from 'node:timers/promises';
import type {StoredImage} from '../store/index.js';
import {type Connection, connectNetwork, releaseAll} from './connect-network.js';
import type {ContainerConfig} from './container-config.js';
import {writeExpected} from './container-files.js';
import {formatNanoseconds, nowNanoseconds} from './nanosecond-time.js';
import {isolatesAll, kindOfBase} from './plan-template.js';
import {type PlannedStart, planBase, planRest, type StartSubject} from './plan-transient-start.js';
import {randomName} from './random-name.js';
import type {Runtime} from './runtime.js';
import {isLauncherLoss, prepareWaiting, type WaitingProcess} from './start-process.js';

/** How long one waits for somebody who wants it. */
const IDLE_MS = 10_000;
const START_DEADLINE_MS = 10_000;
/** What was started begins with what there is of the processors. */
const REFILL_DELAY_MS = 5;
/** Some times what making one takes. */
const PATIENCE_MS = 20;

export interface WaitingStart {
  readonly process: WaitingProcess;
  readonly base: PlannedStart;
  /** What it will be if the next container is the same as the last one: the common case, made ready as well. */
  readonly expected: PlannedStart;
}

export class Pool {
  readonly #runtime: Runtime;
  readonly #size: number;
  readonly #ready: WaitingStart[] = [];
  #kind: string | undefined;
  /** Another object once the store's images changed. */
  #image: StoredImage | undefined;
  /** Those that are being made and nobody has taken yet. */
  readonly #underWay: Promise<WaitingStart | undefined>[] = [];
  #idleTimer: NodeJS.Timeout | undefined;
  #refillTimer: NodeJS.Timeout | undefined;

  /** @param size how many wait at most */
  constructor(runtime: Runtime, size: number) {
    this.#runtime = runtime;
    this.#size = size;
  }

  /** How many wait for a start. */
  get waiting(): number {
    return this.#ready.filter(({process}) => process.alive()).length;
  }

  /** Equal for containers whose surroundings are; undefined when they cannot be made ahead of time. */
  kindOf({config, surroundings}: StartSubject): string | undefined {
    if (this.#size === 0 || !canWait(config, this.#runtime)) return undefined;
    return kindOfBase(surroundings, this.#runtime.owner(), this.#runtime.facts);
  }

  /**
   * One of this kind, for the caller to start or to discard. One that is being made is worth waiting for: to begin another
   * takes longer, and longer still beside it.
   */
  take(
    kind: string | undefined,
    image: StoredImage,
  ): WaitingStart | undefined | Promise<WaitingStart | undefined> {
    if (kind === undefined || kind !== this.#kind || image !== this.#image) return undefined;
    for (;;) {
      const start = this.#ready.pop();
      if (start?.process.alive()) return start;
      if (start === undefined) break;
    }
    const coming = this.#underWay.pop();
    return coming && soon(coming);
  }

  /** After a start, once the program has had its time, or is gone: two alike are a sign that a third will come. */
  refill(kind: string | undefined, subject: StartSubject, exit: Promise<unknown>): void {
    const image = subject.stored;
    if (kind === undefined) return;
    if (kind !== this.#kind || image !== this.#image) {
      this.drop();
      this.#kind = kind;
      this.#image = image;
      return;
    }
    if (this.#idleTimer === undefined) this.#idleTimer = setTimeout(() => this.drop(), IDLE_MS).unref();
    else this.#idleTimer.refresh();
    if (this.#ready.length + this.#underWay.length >= this.#size) return;
    if (this.#refillTimer !== undefined) return;
    const refill = () => {
      clearTimeout(timer);
      if (this.#refillTimer !== timer) return;
      this.#refillTimer = undefined;
      // Who starts many at once gains nothing by starting more.
      if (!this.#runtime.isStarting()) this.#add(subject);
    };
    const timer = setTimeout(refill, REFILL_DELAY_MS).unref();
    this.#refillTimer = timer;
    const next = () => setImmediate(refill).unref();
    exit.then(next, next);
  }

  /** Gives up what waits. */
  drop(): void {
    clearTimeout(this.#idleTimer);
    clearTimeout(this.#refillTimer);
    this.#idleTimer = undefined;
    this.#refillTimer = undefined;
    this.#kind = undefined;
    this.#image = undefined;
    for (const {process} of this.#ready.splice(0)) discard(process);
    for (const making of this.#underWay.splice(0)) discardLater(making);
  }

  #add(subject: StartSubject): void {
    const making = this.#make(subject);
    this.#underWay.push(making);
    void making.then(start => {
      const at = this.#underWay.indexOf(making);
      if (at === -1) return; // taken or given up
      this.#underWay.splice(at, 1);
      if (start !== undefined) this.#ready.push(start);
    });
  }

  /** Undefined when it cannot be made: the start that wants it will find out why, and say so. */
  async #make(subject: StartSubject): Promise<WaitingStart | undefined> {
    const runtime = this.#runtime;
    const another = {...subject, config: this.#identify(subject.config)};
    let process: WaitingProcess | undefined;
    let base: PlannedStart | undefined;
    let endpoint: Connection | undefined;
    try {
      endpoint = await connectNetwork(runtime, another.config);
      const planned = planBase(runtime, another, endpoint);
      base = planned;
      const whenLost = () => this.#tidyLost(planned);
      process = await prepareWaiting(runtime.launcher(), base.encoded, START_DEADLINE_MS, whenLost);
      const expected = planRest(runtime, another, base.record.owner);
      process.expect(expected.encoded);
      writeExpected(runtime.livePlacesOf(expected.record), expected.text);
      return {process, base, expected};
    } catch (error) {
      if (process !== undefined) discard(process);
      else if (base !== undefined && isLauncherLoss(error)) this.#tidyLost(base);
      if (process === undefined) releaseAll(runtime, endpoint);
      return undefined;
    }
  }

  /** Should that fail as well, the next open does it. */
  #tidyLost({record}: PlannedStart): void {
    this.#runtime.tidyLost(record).catch(() => {});
  }

  #identify(config: ContainerConfig): ContainerConfig {
    const created = formatNanoseconds(nowNanoseconds());
    return {...withIdentity(config, this.#runtime.store.containers.newId(), randomName()), created};
  }
}

/** The same container under another id and name; its host name follows, unless it was chosen. */
export function withIdentity(config: ContainerConfig, id: string, name: string): ContainerConfig {
  const isDefault = config.hostname === config.id.slice(0, 12);
  return {...config, id, name, hostname: isDefault ? id.slice(0, 12) : config.hostname};
}

/** Nothing of the host's that somebody might want back meanwhile, and no user namespace: its maps take another way. */
function canWait(config: ContainerConfig, {facts}: Runtime): boolean {
  const {
    mounts,
    devices,
    privileged,
    init,
    userNamespace,
    network,
    networks,
    ports,
    publishAll,
    image,
    extraHosts,
    dns,
  } = config;
  return (
    facts.isRoot &&
    !privileged &&
    !init &&
    devices.length === 0 &&
    userNamespace === 'host' &&
    // On a network of one's own others would find it by name before it is there.
    (network === 'none' || (network === 'bridge' && networks === undefined)) &&
    ports === undefined && // nobody else could have them meanwhile
    !publishAll &&
    extraHosts === undefined &&
    dns === undefined &&
    isolatesAll(config) &&
    image.reference !== 'hello-world' &&
    mounts.every(({type}) => type === 'tmpfs')
  );
}

/** What takes longer than a start should is not waited for any more. */
async function soon(coming: Promise<WaitingStart | undefined>): Promise<WaitingStart | undefined> {
  // What is made ahead of time does not keep this process from ending; who waits for it does.
  const patience = new AbortController();
  const late = sleep(PATIENCE_MS, undefined, {signal: patience.signal}).catch(() => undefined);
  const start = await Promise.race([coming, late]);
  patience.abort();
  if (start === undefined) discardLater(coming);
  return start;
}

function discardLater(coming: Promise<WaitingStart | undefined>): void {
  void coming.then(start => start && discard(start.process));
}

function discard(process: WaitingProcess): void {
  process.discard().catch(() => {}); // the launcher died, and what waited with it
}
