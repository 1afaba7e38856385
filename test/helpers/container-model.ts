/** What a container should be after each deed, and what everybody should be told of it. Pure. */
import type {Dice} from './world.js';

/** What somebody is to do, by the command line or by the SDK. */
export interface Deed {
  readonly kind: string;
  readonly id?: string;
  readonly name?: string;
  readonly slot?: number;
  /** What a container's program does: stays, ends with 3, or ends so twice since its policy starts it again. */
  readonly containerKind?: 'stay' | 'end' | 'again';
  readonly text?: string;
  readonly tag?: string;
}

export interface Outcome {
  readonly value?: string | number | null;
  /** A code, or the words of the command line. */
  readonly error?: string;
}

/** What is nobody's alone. */
export interface Shared {
  readonly tags: Set<string>;
  readonly volumes: Set<string>;
}

type Status = 'absent' | 'created' | 'running' | 'paused' | 'exited';

export class ContainerModel {
  readonly slot: number;
  id = '';
  name = '';
  status: Status = 'absent';
  exitCode = 0;
  /** All that it has written. */
  log = '';
  note: string | undefined;
  readonly events: string[] = [];
  readonly #deeds: string[] = [];
  #kind: Deed['containerKind'] = 'stay';
  #runs = 0;

  constructor(slot: number) {
    this.slot = slot;
  }

  get exists(): boolean {
    return this.status !== 'absent';
  }

  get isUp(): boolean {
    return this.status === 'running' || this.status === 'paused';
  }

  /** For people who look for what went wrong. */
  get history(): string {
    return `slot ${this.slot} ${this.id.slice(0, 12)} ${this.#deeds.join(' ')}`;
  }

  /** The change that a deed should make. @returns what is wrong with its outcome */
  apply(deed: Deed, {value, error}: Outcome): string | undefined {
    this.#deeds.push(error === undefined ? deed.kind : `${deed.kind}!`);
    if (error === 'ERR_NAME_IN_USE' && deed.name !== undefined) return undefined; // somebody else was first
    const should = this.#allows(deed);
    if (should !== (error === undefined)) return should ? `it failed: ${error}` : 'it succeeded';
    if (!should) return undefined;
    const expected = this.#change(deed, value);
    return expected === undefined || expected === value ? undefined : `${value} instead of ${expected}`;
  }

  #allows({kind, name}: Deed): boolean {
    const {isUp, status} = this;
    switch (kind) {
      case 'rename':
        return name !== this.name;
      case 'start':
      case 'remove':
        return !isUp;
      case 'kill':
      case 'signal':
        return isUp;
      case 'exec':
      case 'pause':
        return status === 'running';
      case 'unpause':
        return status === 'paused';
      case 'copyOut':
        return this.note !== undefined;
      default:
        return true;
    }
  }

  /** @returns what the deed should give, if anything */
  #change(deed: Deed, value: Outcome['value']): string | number | undefined {
    switch (deed.kind) {
      case 'create':
      case 'run':
        this.id = String(value);
        this.name = deed.name!;
        this.#kind = deed.containerKind;
        this.status = 'created';
        this.events.push('create');
        if (deed.kind === 'run') this.#start();
        return undefined;
      case 'start':
        this.#start();
        return undefined;
      case 'stop':
        if (this.isUp) this.#end('kill 15', 7, 'stop');
        return undefined;
      case 'restart':
        if (this.isUp) this.#end('kill 15', 7, 'stop');
        this.#start();
        this.events.push('restart');
        return undefined;
      case 'kill':
        this.#end('kill 9', 137);
        return undefined;
      case 'signal':
        // A signal makes who is paused move again.
        this.status = 'running';
        this.events.push('kill 10');
        this.log += 'usr1\n';
        return undefined;
      case 'pause':
        this.status = 'paused';
        this.events.push('pause');
        return undefined;
      case 'unpause':
        this.status = 'running';
        this.events.push('unpause');
        return undefined;
      case 'rename':
        this.name = deed.name!;
        this.events.push('rename');
        return undefined;
      case 'removeForce':
        if (this.isUp) this.#end('kill 9', 137);
        this.#removed();
        return undefined;
      case 'remove':
        this.#removed();
        return undefined;
      case 'prune': {
        if (this.isUp || !this.exists) return '';
        this.#removed();
        return this.id;
      }
      case 'copyIn':
        this.note = deed.text;
        return undefined;
      case 'copyOut':
        return this.note;
      case 'exec':
        return 'inside\n5';
      case 'once':
        return 4;
      case 'logs':
        return this.log;
      case 'wait':
        return this.exitCode;
      default:
        return undefined;
    }
  }

  #start(): void {
    this.status = 'running';
    this.exitCode = 0;
    for (let runs = this.#kind === 'again' ? 2 : 1; runs > 0; runs--) {
      this.events.push('start');
      this.log += `run ${++this.#runs}\n`;
      if (this.#kind !== 'stay') this.#ended(3);
    }
  }

  #end(signal: string, code: number, ...then: readonly string[]): void {
    this.events.push(signal);
    this.#ended(code);
    this.events.push(...then);
  }

  #ended(code: number): void {
    this.status = 'exited';
    this.exitCode = code;
    this.events.push(`die ${code}`);
  }

  #removed(): void {
    this.status = 'absent';
    this.events.push('destroy');
  }
}

/** Mostly what may be done, sometimes what may not. */
export function chooseDeed(model: ContainerModel, dice: Dice): Deed {
  const {id, slot} = model;
  const name = `n${dice.below(12)}`;
  if (!model.exists) {
    const containerKind = dice.oneOf(['stay', 'stay', 'end', 'again'] as const);
    const kind = dice.oneOf(['create', 'run', 'run', 'run', 'once']);
    return kind === 'once' ? {kind} : {kind, name, slot, containerKind};
  }
  const up = ['stop', 'restart', 'kill', 'signal', 'pause', 'unpause', 'exec', 'exec', 'removeForce'];
  const down = ['start', 'start', 'wait', 'stop', 'remove', 'removeForce'];
  const always = ['rename', 'copyIn', 'copyOut', 'logs', 'prune'];
  const refused = model.isUp ? 'remove' : dice.oneOf(['kill', 'pause', 'unpause', 'exec']);
  const usual = dice.oneOf([...(model.isUp ? up : down), ...always]);
  const kind = dice.roll() < 0.05 ? refused : usual;
  return {
    kind,
    id,
    slot,
    ...(kind === 'rename' && {name}),
    ...(kind === 'copyIn' && {text: `note ${dice.below(1e9)}\n`}),
  };
}

/** What several do at once: the last state is the same whoever comes first. */
export function sharedDeed({tags, volumes}: Shared, dice: Dice): Deed {
  const tag = `tag${dice.below(4)}`;
  const name = `volume${dice.below(4)}`;
  if (dice.roll() < 0.5) {
    const isThere = volumes.delete(name);
    if (!isThere) volumes.add(name);
    return {kind: isThere ? 'volumeRemove' : 'volumeCreate', name};
  }
  const isThere = tags.delete(tag);
  if (!isThere) tags.add(tag);
  return {kind: isThere ? 'untag' : 'tag', tag};
}
