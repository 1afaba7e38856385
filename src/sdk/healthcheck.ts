/** Health checks as options, as Docker's JSON has them, and as orders for a monitor. Pure. */
import type {HealthOrders} from '../binding/index.js';
import type {ContainerDefaults, Healthcheck} from '../oci/index.js';
import {checkRecord, checkString, checkStrings, describe, invalidOption} from './check-option.js';
import type {HealthcheckOptions} from './run-options.js';

/** moby, daemon/health.go */
const DEFAULTS = {
  Interval: 30e9,
  Timeout: 30e9,
  StartPeriod: 0,
  StartInterval: 5e9,
  Retries: 3,
} as const satisfies Healthcheck;
const START_DEADLINE_NS = 30e9;
const DEFAULT_SHELL = ['/bin/sh', '-c'];

const DURATIONS = {
  intervalMs: 'Interval',
  timeoutMs: 'Timeout',
  startPeriodMs: 'StartPeriod',
  startIntervalMs: 'StartInterval',
} as const satisfies Partial<Record<keyof HealthcheckOptions, keyof Healthcheck>>;

/** In dockerd's words where it has some. */
export function checkHealthcheck(option: string, value: unknown): void {
  if (value === 'none') return;
  if (typeof value !== 'object')
    throw invalidOption(option, `${option} must be 'none' or an object, not ${describe(value)}`);
  checkRecord(option, value, ['command', 'retries', ...Object.keys(DURATIONS)]);
  const {command, retries = 0, ...durations} = value as HealthcheckOptions;
  if (typeof command === 'string') checkString(`${option}.command`, command);
  else if (command !== undefined) {
    checkStrings(`${option}.command`, command);
    if (command.length === 0)
      throw invalidOption(
        `${option}.command`,
        `${option}.command must not be empty`,
        "Without a health check: 'none'.",
      );
  }
  for (const [name, milliseconds] of Object.entries(durations)) {
    if (milliseconds === 0) continue;
    const isDuration =
      typeof milliseconds === 'number' && Number.isFinite(milliseconds) && milliseconds <= GREATEST_MS;
    if (!isDuration || milliseconds < 1) {
      const docker = DURATIONS[name as keyof typeof DURATIONS];
      throw invalidOption(
        `${option}.${name}`,
        isDuration
          ? `${docker} in Healthcheck cannot be less than 1ms`
          : `${option}.${name} must be a number of milliseconds, not ${describe(milliseconds)}`,
      );
    }
  }
  if (!Number.isSafeInteger(retries) || retries > 2 ** 31 - 1)
    throw invalidOption(`${option}.retries`, `${option}.retries must be a whole number up to 2147483647`);
  if (retries < 0) throw invalidOption(`${option}.retries`, 'Retries in Healthcheck cannot be negative');
}

/** What a number of JavaScript's tells exactly in nanoseconds: 104 days. */
const GREATEST_MS = Math.floor(Number.MAX_SAFE_INTEGER / 1e6);

/** As Docker's client writes it. */
export function toHealthcheck(options: 'none' | HealthcheckOptions): Healthcheck {
  if (options === 'none') return {Test: ['NONE']};
  const {command, retries} = options;
  const durations = Object.entries(DURATIONS).flatMap(([name, docker]) => {
    const milliseconds = options[name as keyof typeof DURATIONS];
    return milliseconds ? [[docker, Math.round(milliseconds * 1e6)]] : [];
  });
  const test =
    typeof command === 'string'
      ? command === ''
        ? undefined
        : ['CMD-SHELL', command]
      : command && ['CMD', ...command];
  return {
    ...(test && {Test: test}),
    ...Object.fromEntries(durations),
    ...(retries && {Retries: retries}),
  };
}

/** Whether options ask for one themselves; the image's is looked after where that can be done. */
export function asksForHealth({
  healthcheck,
}: {
  readonly healthcheck: 'none' | HealthcheckOptions | undefined;
}): boolean {
  return healthcheck !== undefined && healthcheck !== 'none';
}

/** What is not said is the image's: dockerd's merge. */
export function mergeHealthcheck(
  own: 'none' | HealthcheckOptions | undefined,
  image: Healthcheck | undefined,
): Healthcheck | null {
  if (own === undefined) return image ?? null;
  const {Test, ...others} = toHealthcheck(own);
  const {Test: inherited, ...numbers} = image ?? {};
  const test = Test ?? (inherited?.length ? inherited : undefined);
  return {...(test && {Test: test}), ...present(numbers), ...others};
}

function present(numbers: Omit<Healthcheck, 'Test'>): Healthcheck {
  return Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0));
}

/** The command of a probe; undefined where none is wanted, or of a kind that nobody knows. */
export function probeCommand({
  healthcheck,
  shell,
}: {
  readonly healthcheck: Healthcheck | null;
  readonly shell: readonly string[] | null;
}): readonly [string, ...string[]] | undefined {
  const [kind, ...words] = healthcheck?.Test ?? [];
  const command = kind === 'CMD-SHELL' ? [...(shell?.length ? shell : DEFAULT_SHELL), ...words] : words;
  const [program, ...args] = command;
  return (kind === 'CMD' || kind === 'CMD-SHELL') && program !== undefined ? [program, ...args] : undefined;
}

/** Whether an image's configuration has one. */
export function hasProbe({Healthcheck, Shell}: ContainerDefaults): boolean {
  return probeCommand({healthcheck: Healthcheck ?? null, shell: Shell ?? null}) !== undefined;
}

/** When a probe runs, and what its results come to, with Docker's defaults. */
export function healthTimes(
  healthcheck: Healthcheck,
): Pick<
  HealthOrders,
  'intervalNs' | 'timeoutNs' | 'startPeriodNs' | 'startIntervalNs' | 'startDeadlineNs' | 'retries'
> {
  const own = (name: keyof typeof DEFAULTS) => healthcheck[name] || DEFAULTS[name];
  return {
    intervalNs: own('Interval'),
    timeoutNs: own('Timeout'),
    startPeriodNs: own('StartPeriod'),
    startIntervalNs: own('StartInterval'),
    startDeadlineNs: START_DEADLINE_NS,
    retries: own('Retries'),
  };
}
