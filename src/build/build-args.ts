/** `ARG` and what is known without it. */
import type {ContainerDefaults, Platform} from '../oci/index.js';

/** Taken without being declared, and neither remembered nor told in the history. */
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];
const UNDECLARED: ReadonlySet<string> = new Set(PROXIES.flatMap(name => [name, name.toLowerCase()]));

type Values = ReadonlyMap<string, string>;

export class BuildArgs {
  /** What the caller gave. */
  readonly #given: Values;
  /** Of the arguments before the first FROM. */
  readonly #global: Values;
  readonly #declared = new Map<string, string | undefined>();
  readonly #used: Set<string>;

  private constructor(given: Values, global: Values, used: Set<string>) {
    this.#given = given;
    this.#global = global;
    this.#used = used;
  }

  /** Those before the first FROM. @param built the platform that is built for */
  static global(given: Readonly<Record<string, string>>, host: Platform, built: Platform): BuildArgs {
    const known = new Map([...platformArgs('BUILD', host), ...platformArgs('TARGET', built)]);
    const args = new BuildArgs(new Map(Object.entries(given)), known, new Set());
    for (const [name, value] of known) args.#declared.set(name, value);
    return args;
  }

  /** Of a stage: what is declared outside is known inside once it is declared there too. */
  ofStage(): BuildArgs {
    const global = new Map([...this.#global, ...defined(this.#declared)]);
    return new BuildArgs(this.#given, global, this.#used);
  }

  declare(name: string, value: string | undefined): string | undefined {
    this.#used.add(name);
    const given = this.#given.get(name);
    const known = given ?? value ?? this.#global.get(name);
    this.#declared.set(name, known);
    return known;
  }

  value(name: string): string | undefined {
    return this.#declared.get(name);
  }

  /** What words are replaced from: the image's variables come first. */
  lookup({Env = []}: ContainerDefaults): (name: string) => string | undefined {
    return name =>
      Env.find(variable => variable.startsWith(`${name}=`))?.slice(name.length + 1) ?? this.value(name);
  }

  /** Variables of a RUN, `NAME=value`, in order: those that decide what it does, and those that do not. */
  environment({Env = []}: ContainerDefaults): {readonly told: string[]; readonly untold: string[]} {
    const isSet = (name: string) => Env.some(variable => variable.startsWith(`${name}=`));
    const told = [...defined(this.#declared)].filter(([name]) => !isSet(name));
    const untold = [...this.#given].filter(
      ([name]) => UNDECLARED.has(name) && !this.#declared.has(name) && !isSet(name),
    );
    const written = (list: readonly (readonly [string, string])[]) =>
      list.map(pair => pair.join('=')).sort((a, b) => (a < b ? -1 : 1));
    return {told: written(told), untold: written(untold)};
  }

  /** Given, and nobody asked for them. */
  unused(): string[] {
    return [...this.#given.keys()].filter(name => !this.#used.has(name) && !UNDECLARED.has(name));
  }
}

function* defined(values: ReadonlyMap<string, string | undefined>): Generator<[string, string]> {
  for (const [name, value] of values) if (value !== undefined) yield [name, value];
}

function platformArgs(prefix: string, {os, architecture, variant}: Platform): [string, string][] {
  const platform = [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
  return [
    [`${prefix}PLATFORM`, platform],
    [`${prefix}OS`, os],
    [`${prefix}ARCH`, architecture],
    [`${prefix}VARIANT`, variant ?? ''],
  ];
}
