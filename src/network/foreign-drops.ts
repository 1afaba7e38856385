/**
 * Rules of somebody else's that stop what ours let through: an `accept` in one table cannot overrule a `drop` in another.
 * dockerd gives the chain FORWARD a policy of drop, firewalld and ufw end theirs with a refusal. They are looked at, never
 * changed; see `grant` in forward-grant.ts for the one exception.
 */
import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {promisify} from 'node:util';
import {NETLINK_NETFILTER, requestNetlink} from '../binding/index.js';
import {attributesOf} from './netlink-message.js';
import {HOOKS} from './nftables.js';
import {
  type BaseChain,
  type Family,
  type ListedRule,
  listChains,
  listRules,
  parseBaseChains,
  parseRules,
} from './nftables-read.js';

/** A chain that drops what none of its rules takes. */
export interface ForeignDrop {
  /** `legacy`: of iptables-legacy, which nftables knows nothing of. */
  readonly family: Family | 'legacy';
  readonly table: string;
  readonly chain: string;
  readonly hook: 'input' | 'forward';
  readonly by: 'policy' | 'last rule';
}

/** `chain FORWARD of table ip filter (policy drop)` */
export function describeDrop({family, table, chain, by}: ForeignDrop): string {
  const name = family === 'legacy' ? `${table} (iptables-legacy)` : `${family} ${table}`;
  return `chain ${chain} of table ${name} (${by === 'policy' ? 'policy drop' : 'its last rule refuses'})`;
}

/** Commands that let every bridge of ours pass it. */
export function waysPast({family, table, chain, hook}: ForeignDrop): string {
  const directions = hook === 'forward' ? (['iifname', 'oifname'] as const) : (['iifname'] as const);
  const command = (key: 'iifname' | 'oifname') =>
    family === 'legacy'
      ? `iptables-legacy -I ${chain} -${key[0]} cor-+ -j ACCEPT`
      : `nft insert rule ${family} ${table} ${chain} ${key} '"cor-*"' accept`;
  return directions.map(command).join(' && ');
}

/** Where users of dockerd put rules of their own: it never changes them, and asks them first. */
export const USER_CHAIN = 'DOCKER-USER';

/**
 * Of IPv4.
 * @param bridge a chain whose rules let this one's packets pass in both directions is left out
 * @throws NativeFailure when the kernel has no nf_tables
 */
export async function foreignDrops(hook: ForeignDrop['hook'], bridge?: string): Promise<ForeignDrop[]> {
  const chains = parseBaseChains(ask(listChains()));
  const found = chains.flatMap(chain => dropOf(chain, hook, bridge) ?? []);
  return [...found, ...(await legacyDrops(hook, bridge))];
}

function dropOf(chain: BaseChain, hook: ForeignDrop['hook'], bridge?: string): ForeignDrop | undefined {
  const {family, table, name, policy} = chain;
  if (chain.hook !== HOOKS[hook] || family === 'ip6' || OWN_TABLE.test(table)) return undefined;
  const rules = rulesOf(family, table, name);
  const refuses = refusesRest(rules?.at(-1));
  if (policy === 'accept' && !refuses) return undefined;
  const first = rulesOf(family, table, USER_CHAIN) ?? [];
  if (bridge !== undefined && letsPass([...first, ...(rules ?? [])], bridge, hook)) return undefined;
  return {family, table, chain: name, hook, by: policy === 'drop' ? 'policy' : 'last rule'};
}

/** Named after a bridge of ours: see `bridgeRules`. */
const OWN_TABLE = /^cor-/;

/** Undefined when they are more than we read. */
function rulesOf(family: Family, table: string, chain: string): ListedRule[] | undefined {
  try {
    return parseRules(ask(listRules(family, table, chain)));
  } catch {
    return undefined;
  }
}

function ask(request: Buffer): Buffer {
  return requestNetlink(NETLINK_NETFILTER, request, 1, 'list rules', 'nftables');
}

/** Expressions that decide nothing. */
const NEUTRAL = new Set(['counter', 'log']);

function refusesRest(rule: ListedRule | undefined): boolean {
  const deciding = rule?.expressions.filter(({name}) => !NEUTRAL.has(name)) ?? [];
  const [only] = deciding;
  return deciding.length === 1 && (only?.name === 'reject' || verdictOf(only) === NF_DROP);
}

const NF_DROP = 0;
const NF_ACCEPT = 1;
const META = {iifname: 6, oifname: 7} as const;

/** By interface alone: everything to the bridge, and everything from it. */
function letsPass(rules: readonly ListedRule[], bridge: string, hook: ForeignDrop['hook']): boolean {
  const accepts = (key: number) =>
    rules.some(({expressions}) => {
      const [meta, compare, verdict, ...more] = expressions.filter(({name}) => !NEUTRAL.has(name));
      return (
        more.length === 0 &&
        meta?.name === 'meta' &&
        attributesOf(meta.data).get(2)?.readUInt32BE(0) === key &&
        compare?.name === 'cmp' &&
        isEqualTo(attributesOf(compare.data), bridge) &&
        verdictOf(verdict) === NF_ACCEPT
      );
    });
  return accepts(META.iifname) && (hook === 'input' || accepts(META.oifname));
}

/** A value without a NUL at its end is how the name begins: `cor-*`. */
function isEqualTo(compare: Map<number, Buffer>, bridge: string): boolean {
  const value = attributesOf(compare.get(3) ?? Buffer.alloc(0)).get(1);
  if (value === undefined || compare.get(2)?.readUInt32BE(0) !== 0) return false;
  const name = value.toString('latin1');
  return name.includes('\0') ? name.replace(/\0.*$/s, '') === bridge : bridge.startsWith(name);
}

function verdictOf(expression: ListedRule['expressions'][number] | undefined): number | undefined {
  if (expression?.name !== 'immediate') return undefined;
  const data = attributesOf(attributesOf(expression.data).get(2) ?? Buffer.alloc(0));
  return attributesOf(data.get(2) ?? Buffer.alloc(0))
    .get(1)
    ?.readUInt32BE(0);
}

/** Another firewall beside nftables in the same kernel. Its own program alone can list it. */
async function legacyDrops(hook: ForeignDrop['hook'], bridge: string | undefined): Promise<ForeignDrop[]> {
  if (!isLegacyUsed()) return [];
  const {stdout} = await promisify(execFile)('iptables-legacy', ['-S'], {timeout: PATIENCE_MS}).catch(() => ({
    stdout: '',
  }));
  return parseLegacy(stdout, hook, bridge);
}

const PATIENCE_MS = 2000;

function isLegacyUsed(): boolean {
  try {
    return /^filter$/m.test(readFileSync('/proc/net/ip_tables_names', 'latin1'));
  } catch {
    return false; // no such module
  }
}

/** What `iptables-legacy -S` prints. */
export function parseLegacy(
  listed: string,
  hook: ForeignDrop['hook'],
  bridge: string | undefined,
): ForeignDrop[] {
  const chain = hook.toUpperCase();
  const lines = listed.split('\n').map(line => line.trim());
  const rules = lines.filter(line => line.startsWith(`-A ${chain} `));
  const policy = lines.includes(`-P ${chain} DROP`);
  if (!policy && !/^-A \S+ -j (DROP|REJECT)\b/.test(rules.at(-1) ?? '')) return [];
  const passes = (flag: string) =>
    lines.some(line => {
      const [, of, name] = new RegExp(`^-A (\\S+) ${flag} (\\S+) -j ACCEPT$`).exec(line) ?? [];
      if (name === undefined || bridge === undefined || (of !== chain && of !== USER_CHAIN)) return false;
      return name.endsWith('+') ? bridge.startsWith(name.slice(0, -1)) : name === bridge;
    });
  if (passes('-i') && (hook === 'input' || passes('-o'))) return [];
  return [{family: 'legacy', table: 'filter', chain, hook, by: policy ? 'policy' : 'last rule'}];
}
