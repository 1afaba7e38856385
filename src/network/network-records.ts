/**
 * What networks are, as `networks/NAME.json` below the root says it. A name is taken by making its file, which only one
 * process can; who makes one looks at all others with the lock held, so that no two have addresses in common.
 */
import {randomBytes} from 'node:crypto';
import {linkSync, mkdirSync, readdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {CoracleError} from '../errors.js';
import {readRecord, withLock, writeRecord} from '../store/index.js';

/** `networks/NAME.json`. What is absent is empty or false; those that are always there have nothing but their driver. */
export interface NetworkRecord {
  readonly version: 1;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  /** RFC 3339, UTC. */
  readonly created: string;
  /** At most one of each family. */
  readonly subnets?: readonly SubnetConfig[];
  readonly internal?: true;
  readonly attachable?: true;
  readonly ipv6?: true;
  /** As they were given: `com.docker.network.driver.mtu`. */
  readonly options?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A subnet of a network. */
export interface SubnetConfig {
  /** `10.5.0.0/16`, `fd00::/64` */
  readonly subnet: string;
  /** The part of it that addresses are taken from. @default all of it */
  readonly ipRange?: string;
  readonly gateway: string;
  /** Addresses that are somebody else's, by whatever they are called. */
  readonly auxAddresses?: Readonly<Record<string, string>>;
  /** It came from the pools: another does as well, while nobody is on the network. */
  readonly chosen?: true;
}

/** The networks that are always there. */
export const PREDEFINED = ['bridge', 'host', 'none'] as const;

export class NetworkRecords {
  readonly #directory: string;

  /** @param directory made when the first record is */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** By name, id or its beginning. Those that are always there are made when somebody asks first. @throws `ERR_NETWORK_NOT_FOUND` */
  async get(nameOrId: string): Promise<NetworkRecord> {
    const found = this.find(nameOrId);
    if (found !== undefined) return found;
    if (isPredefined(nameOrId)) return this.#makePredefined(nameOrId);
    if (!isIdPrefix(nameOrId)) throw networkNotFound(nameOrId);
    const matching = (await this.list()).filter(({id}) => id.startsWith(nameOrId));
    if (matching.length > 1) {
      throw new CoracleError(
        'ERR_AMBIGUOUS_ID',
        `network ${nameOrId} is ambiguous (${matching.length} matches found based on ID prefix)`,
        {
          hint: 'Give more of its digits, or its name.',
          details: {prefix: nameOrId},
        },
      );
    }
    if (matching[0] === undefined) throw networkNotFound(nameOrId);
    return matching[0];
  }

  /** By name. Undefined when there is none, or nobody has asked for a predefined one yet. */
  find(name: string): NetworkRecord | undefined {
    return NAME.test(name) ? (readRecord(this.#path(name)) as NetworkRecord | undefined) : undefined;
  }

  /** By name. */
  async list(): Promise<NetworkRecord[]> {
    const own = this.listMade().filter(({name}) => !isPredefined(name));
    const predefined = await Promise.all(PREDEFINED.map(name => this.get(name)));
    return [...own, ...predefined].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Those that have a file. */
  listMade(): NetworkRecord[] {
    return entriesOf(this.#directory).flatMap(entry =>
      entry.endsWith('.json') ? (this.find(entry.slice(0, -'.json'.length)) ?? []) : [],
    );
  }

  /**
   * @param describe what it is, beside the others that there are; whatever it throws, nothing was made
   * @throws `ERR_NAME_IN_USE`
   */
  async create(
    name: string,
    describe: (id: string, others: readonly NetworkRecord[]) => NetworkRecord,
  ): Promise<NetworkRecord> {
    return this.whileLocked(() => {
      if (this.find(name) !== undefined) throw nameInUse(name);
      const record = describe(randomBytes(32).toString('hex'), this.listMade());
      this.#publish(record);
      return record;
    });
  }

  /** Another network of the name may be there by then: only this one goes. @returns whether it was there */
  remove({id, name}: Pick<NetworkRecord, 'id' | 'name'>): boolean {
    if (this.find(name)?.id !== id) return false;
    rmSync(this.#path(name), {force: true});
    return true;
  }

  /** With the lock held. */
  replace(record: NetworkRecord): void {
    writeRecord(this.#path(record.name), record);
  }

  /** Nobody else makes or changes records meanwhile. */
  async whileLocked<T>(work: () => T | Promise<T>): Promise<T> {
    mkdirSync(this.#directory, {recursive: true, mode: 0o700});
    return withLock(join(this.#directory, 'lock'), work);
  }

  #path(name: string): string {
    return join(this.#directory, `${name}.json`);
  }

  #makePredefined(name: (typeof PREDEFINED)[number]): Promise<NetworkRecord> {
    return this.whileLocked(() => {
      const made = this.find(name);
      if (made !== undefined) return made;
      const record: NetworkRecord = {
        version: 1,
        id: randomBytes(32).toString('hex'),
        name,
        driver: name === 'none' ? 'null' : name,
        created: new Date().toISOString(),
      };
      this.#publish(record);
      return record;
    });
  }

  /** With the lock held. A link is made where nothing is, or not at all. @throws `ERR_NAME_IN_USE` */
  #publish(record: NetworkRecord): void {
    const path = this.#path(record.name);
    for (const entry of readdirSync(this.#directory))
      if (entry.startsWith('.')) rmSync(join(this.#directory, entry), {force: true}); // of somebody who died here
    const draft = join(this.#directory, `.${record.id}`);
    writeRecord(draft, record);
    try {
      linkSync(draft, path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw nameInUse(record.name, cause);
      throw cause;
    } finally {
      rmSync(draft, {force: true});
    }
  }
}

export function isPredefined(name: string): name is (typeof PREDEFINED)[number] {
  return (PREDEFINED as readonly string[]).includes(name);
}

/** In dockerd's words. @throws `ERR_INVALID_NAME`, `ERR_NETWORK_PREDEFINED` */
export function checkNetworkName(name: string): void {
  if (isPredefined(name) || name === 'default' || name.startsWith('container:')) {
    throw new CoracleError(
      'ERR_NETWORK_PREDEFINED',
      `operation is not permitted on predefined ${name} network`,
      {
        details: {network: name},
      },
    );
  }
  if (NAME.test(name)) return;
  throw new CoracleError('ERR_INVALID_NAME', `invalid name: ${name}`, {
    hint: 'Letters, digits and _.- after a letter or a digit; at most 128.',
    details: {name},
  });
}

export function networkNotFound(nameOrId: string): CoracleError {
  return new CoracleError('ERR_NETWORK_NOT_FOUND', `network ${nameOrId} not found`, {
    hint: 'See what there is: coracle network ls',
    details: {network: nameOrId},
  });
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

function isIdPrefix(text: string): boolean {
  return /^[0-9a-f]{1,64}$/.test(text);
}

function nameInUse(name: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_NAME_IN_USE', `network with name ${name} already exists`, {
    cause,
    hint: 'Choose another name, or remove the other one: coracle network rm',
    details: {name},
  });
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory).filter(name => !name.startsWith('.'));
  } catch {
    return [];
  }
}
