import {COMPATS, completePath, type ObjectKind} from '../inspect/index.js';
import {FLAGS, KINDS, VALUE_FLAGS} from './inspect-arguments.js';
import type {InspectIo} from './inspect-io.js';

/** Completion of flags, object names and field paths in `ts-inspect` and `coracle inspect`. */

type Shell = 'bash' | 'fish' | 'zsh';

/** Each hands the words typed so far to `ts-inspect __complete`; without an answer, files are offered. */
const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# ts-inspect --completion bash > /etc/bash_completion.d/ts-inspect
_ts_inspect() {
  local IFS=$'\\n'
  compopt -o nospace
  COMPREPLY=($(ts-inspect __complete bash "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
complete -o default -F _ts_inspect ts-inspect coracle
`,
  zsh: `#compdef ts-inspect coracle
# ts-inspect --completion zsh > "\${fpath[1]}/_ts-inspect"
_ts_inspect() {
  local -a found
  found=(\${(f)"$(ts-inspect __complete zsh "\${(@)words[1,CURRENT]}" 2>/dev/null)"})
  if (( \${#found} )); then compadd -Q -S '' -- $found; else _files; fi
}
compdef _ts_inspect ts-inspect coracle
`,
  fish: `# ts-inspect --completion fish > ~/.config/fish/completions/ts-inspect.fish
complete -c ts-inspect -a '(ts-inspect __complete fish (commandline -opc) (commandline -ct) 2>/dev/null)'
complete -c coracle -a '(ts-inspect __complete fish (commandline -opc) (commandline -ct) 2>/dev/null)'
`,
};

export function printScript(shell: string, io: InspectIo): number {
  if (!Object.hasOwn(SCRIPTS, shell)) {
    io.stderr(`unknown shell: "${shell}": must be one of "${Object.keys(SCRIPTS).join('", "')}"\n`);
    return 1;
  }
  io.stdout(SCRIPTS[shell as Shell]);
  return 0;
}

/** `__complete SHELL LINE` for bash, `__complete SHELL WORD…` for the others; the last word is the one being typed. */
export async function complete([shell, ...given]: readonly string[], io: InspectIo): Promise<number> {
  const words = shell === 'bash' ? splitLine(given[0] ?? '') : given;
  const typed = words.at(-1) ?? '';
  const quote = /^["']/.exec(typed)?.[0] ?? '';
  const current = typed.slice(quote.length);
  const before = words.slice(1, -1);
  // Of coracle's commands this is the one with objects to name; the others are not ours to complete.
  if (/(?:^|\/)coracle$/.test(words[0] ?? '') && before.shift() !== 'inspect') return 0;
  const found = (await candidates(before, current, io)).filter(word => word.startsWith(current));
  // bash has taken what is left of a colon or an equals sign for a word of its own, unless it is quoted.
  const kept =
    shell === 'bash' && quote === ''
      ? current.slice(0, Math.max(current.lastIndexOf(':'), current.lastIndexOf('=')) + 1)
      : '';
  const opening = shell === 'zsh' ? quote : '';
  io.stdout(found.map(word => `${opening}${word.slice(kept.length)}\n`).join(''));
  return 0;
}

async function candidates(before: readonly string[], current: string, io: InspectIo): Promise<string[]> {
  const flag = /^--?([a-z-]+)$/.exec(before.at(-1) ?? '')?.[1];
  switch (flag === 'f' ? 'format' : flag) {
    case 'type':
      return [...KINDS];
    case 'compat':
      return [...COMPATS];
    case 'completion':
      return Object.keys(SCRIPTS);
    case 'template':
      return ['html', 'text'];
    case 'format':
    case 'wait-for':
      return templateCandidates(before, current);
  }
  if (flag !== undefined && (VALUE_FLAGS as readonly string[]).includes(flag)) return [];
  if (current.startsWith('-')) return FLAGS.map(name => `--${name}`);
  try {
    return [...(await io.names())];
  } catch {
    return []; // somebody is typing: there is no place for an error
  }
}

/** `{{json .State.St` with each field that may come next. */
function templateCandidates(before: readonly string[], current: string): string[] {
  if (!current.includes('{{') && !current.includes('<<')) return ['json', 'jsonl', 'pretty', '{{.', '<<.'];
  const path = /(?:\.[\p{L}_][\p{L}\p{N}_]*)*\.[\p{L}\p{N}_]*$/u.exec(current)?.[0];
  if (path === undefined) return [];
  const type = before[before.lastIndexOf('--type') + 1];
  const kinds: readonly ObjectKind[] = KINDS.some(kind => kind === type) ? [type as ObjectKind] : KINDS;
  const start = current.slice(0, current.length - path.length);
  return [...new Set(kinds.flatMap(kind => completePath(kind, path)))].sort().map(next => start + next);
}

/** Words as a shell splits them, a quote that is still open included; the last is empty after a space. */
function splitLine(line: string): string[] {
  const words = line.match(/"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"']+/g) ?? [];
  const unquoted = words.map((word, i) =>
    i < words.length - 1 ? word.replace(/^(["'])(.*)\1$/s, '$2') : word,
  );
  return /\s$/.test(line) && !/^["'][^"']*$/.test(words.at(-1) ?? '') ? [...unquoted, ''] : unquoted;
}
