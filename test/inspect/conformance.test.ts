import {readFileSync} from 'node:fs';
import test from 'ava';
import {
  compileInspect,
  compileTemplate,
  formatList,
  type ListKind,
  type ListRow,
  type MissingKey,
  type ObjectKind,
  parseJson,
} from '../../src/inspect/index.js';

interface Case {
  readonly id: string;
  readonly template: string;
  readonly dataRef: string;
  readonly opts: {
    readonly mode: 'exec' | 'inspect' | 'list';
    readonly decode?: 'number' | 'float64' | 'typed';
    readonly missingKey?: MissingKey;
    readonly object?: string;
  };
  readonly output?: string;
  readonly error?: string;
}

const here = new URL('conformance/', import.meta.url);
const readText = (path: string): string => readFileSync(new URL(path, here), 'utf8');
const readCases = (name: string): Case[] =>
  readText(`cases/${name}.jsonl`)
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Case);

const RUN: Record<Case['opts']['mode'], (c: Case, document: string) => string> = {
  exec: ({template, opts}, document) =>
    compileTemplate(template, {missingKey: opts.missingKey!})(parseJson(document, opts.decode)),
  inspect: ({template, opts}, document) => {
    try {
      return `${compileInspect(template)(opts.object as ObjectKind, document)}\n`;
    } catch (error) {
      throw new Error(`template parsing error: ${(error as Error).message}`);
    }
  },
  list: ({template}, document) => {
    const {object, rows, labels} = JSON.parse(document) as {
      object: ListKind;
      rows: ListRow[];
      labels: Record<string, string>[];
    };
    return formatList(object, rows, template, {labels});
  },
};

function outcome(c: Case): {output: string} | {error: string} {
  try {
    return {output: RUN[c.opts.mode](c, readText(`data/${c.dataRef}.json`).trim())};
  } catch (error) {
    return {error: (error as Error).message};
  }
}

for (const mode of ['exec', 'inspect', 'list'] as const) {
  test(`every recorded ${mode} case has Docker's output or error, byte for byte`, t => {
    const cases = readCases(mode);
    t.true(cases.length > 20);
    for (const c of cases) {
      t.deepEqual(
        outcome(c),
        c.error === undefined ? {output: c.output!} : {error: c.error},
        `${c.id}: ${c.template}`,
      );
    }
  });
}
