/** The command line of a benchmark: `--rounds N`, `--warmups N` and so on; unknown options are refused. */
import {parseArgs} from 'node:util';

export function numberOptions<Name extends string>(
  defaults: Readonly<Record<Name, number>>,
  args = process.argv.slice(2),
): Record<Name, number> {
  const names = Object.keys(defaults) as Name[];
  const options = Object.fromEntries(names.map(name => [name, {type: 'string'} as const]));
  const {values} = parseArgs({args, options});
  return Object.fromEntries(
    names.map(name => {
      const value = Number(values[name] ?? defaults[name]);
      if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${name} is a number from 1 on`);
      return [name, value];
    }),
  ) as Record<Name, number>;
}
