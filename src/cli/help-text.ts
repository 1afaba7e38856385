import {PROGRAM} from './cli-error.js';
import type {Command, Flag} from './command.js';

const DEFAULT_COLUMNS = 80;

/** `--help` of one command, in Docker's shape. */
export function commandHelp(command: Command, columns: number = DEFAULT_COLUMNS): string {
  const {name, usage, summary, aliases, flags, examples} = command;
  const shown = flags.filter(flag => !flag.hidden && flag.unsupported === undefined);
  const sections = [`Usage:  ${PROGRAM} ${name}${usage === '' ? '' : ` ${usage}`}`, summary];
  if (aliases) {
    sections.push(`Aliases:\n  ${[...aliases, name].map(alias => `${PROGRAM} ${alias}`).join(', ')}`);
  }
  if (shown.length > 0) sections.push(`Options:\n${flagTable(shown, columns).join('\n')}`);
  sections.push(`Examples:\n${examples.map(example => `  ${example}`).join('\n')}`);
  return `${sections.join('\n\n')}\n`;
}

/** `  name    summary` lines, aligned. */
export function nameTable(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, summary]) => `  ${name.padEnd(width)}   ${summary}`).join('\n');
}

function flagTable(flags: readonly Flag[], columns: number): string[] {
  const rows = flags.map(flag => {
    const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
    return {left: `  ${short}--${flag.name}${flag.type === undefined ? '' : ` ${flag.type}`}`, flag};
  });
  const indent = Math.max(...rows.map(({left}) => left.length)) + 3;
  return rows.flatMap(({left, flag}) => {
    const [first = '', ...rest] = wrap(flag.summary, Math.max(24, columns - indent));
    return [left.padEnd(indent) + first, ...rest.map(line => ' '.repeat(indent) + line)];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
