/** What stands in the way of bridges, as of a moment ago; and, where it is allowed, is got out of the way. */
import {type ForeignDrop, foreignDrops} from './foreign-drops.js';
import {grant, withoutGrant} from './forward-grant.js';

/** A firewall that changes meanwhile is seen by the next start but one. */
const HOLD_MS = 1000;

export class DropWatch {
  /** Whether a bridge may be let through: `grant`. */
  readonly allowForwarding: boolean;
  readonly #seen = new Map<string, {readonly found: Promise<readonly ForeignDrop[]>; readonly at: number}>();

  constructor(allowForwarding: boolean) {
    this.allowForwarding = allowForwarding;
  }

  /** Chains of others that drop what a bridge's containers send to other hosts, and what those send them. */
  of(bridge: string): Promise<readonly ForeignDrop[]> {
    const seen = this.#seen.get(bridge);
    const at = performance.now();
    if (seen !== undefined && at - seen.at < HOLD_MS) return seen.found;
    const found = this.#look(bridge);
    this.#seen.set(bridge, {found, at});
    return found;
  }

  /** Of a bridge that is gone. Again is fine. */
  end(bridge: string): void {
    this.#seen.delete(bridge);
    withoutGrant(bridge);
  }

  async #look(bridge: string): Promise<readonly ForeignDrop[]> {
    const found = await foreignDrops('forward', bridge);
    if (!this.allowForwarding || found.length === 0) return found;
    grant(bridge, found);
    return foreignDrops('forward', bridge);
  }
}
