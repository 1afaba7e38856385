import {readFileSync} from 'node:fs';

export interface Block {
  /** The word after the opening fence: `console`, `js`. */
  readonly language: string;
  readonly text: string;
}

/** The fenced blocks of a document of this project, in order; `document` is relative to its root. */
export function markdownBlocks(document: string): Block[] {
  const source = readFileSync(new URL(`../../${document}`, import.meta.url), 'utf8');
  return [...source.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
}

/** The commands of a `console` block and the output shown below each. A command starts with "$ ", continues after "\". */
export function commandsOf(block: Block): {command: string; output: string}[] {
  const [, ...parts] = `\n${block.text}`.split(/\n\$ /);
  return parts.map(part => {
    const [, command, output] = /^((?:[^\n]*\\\n)*[^\n]*)\n?(.*)$/s.exec(part)!;
    return {command: command!, output: output!.trimEnd()};
  });
}
