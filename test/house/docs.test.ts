import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';

const root = new URL('../../', import.meta.url);

/** Codes of Node's own errors, which src/ meets but does not make. */
const OF_NODE =
  /^ERR_(MODULE_NOT_FOUND|STREAM_\w+|INVALID_ARG_\w+|OUT_OF_RANGE|USE_AFTER_CLOSE|SOCKET_\w+|TLS_\w+)$/;

test('docs/errors.md has a row for each error code in src/, and no other', t => {
  const used = new Set<string>();
  for (const file of sources()) {
    for (const [code] of readFileSync(new URL(file, root), 'utf8').matchAll(/\bERR_[A-Z0-9_]*[A-Z0-9]\b/g)) {
      if (!OF_NODE.test(code)) used.add(code);
    }
  }
  t.true(used.size > 0);
  const described = new Set(rows().map(({code}) => code!));
  t.deepEqual(
    {
      missing: [...used].filter(code => !described.has(code)).sort(),
      outdated: [...described].filter(code => !used.has(code)).sort(),
    },
    {missing: [], outdated: []},
  );
});

test('each row of docs/errors.md says what the error means and what to do', t => {
  for (const {code, meaning, remedy} of rows()) {
    t.true(meaning!.length > 10, `${code} lacks its meaning`);
    t.true(remedy!.length > 10, `${code} lacks its remedy`);
  }
});

test('each link between the documents leads to a file that exists', t => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...markdownIn('docs/')];
  const present = new Set([...documents, ...markdownIn('native/'), 'LICENSE']);
  for (const document of documents) {
    const text = readFileSync(new URL(document, root), 'utf8').replace(/```.*?```/gs, '');
    for (const [, target] of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)) {
      const path = new URL(target!, new URL(document, root)).pathname.slice(root.pathname.length);
      const exists = present.has(path) || entriesOf(path).length > 0;
      t.true(exists, `${document} links to ${target}, which does not exist`);
    }
  }
});

function sources(): string[] {
  return readdirSync(new URL('src/', root), {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('.ts'))
    .map(name => `src/${name}`);
}

function rows() {
  return readFileSync(new URL('docs/errors.md', root), 'utf8')
    .split('\n')
    .filter(line => line.startsWith('| `ERR_'))
    .map(line => {
      const [, code, meaning, remedy] = line.split(/(?<!\\)\|/).map(cell => cell.trim());
      return {code: code!.replaceAll('`', ''), meaning, remedy};
    });
}

function markdownIn(folder: string): string[] {
  return readdirSync(new URL(folder, root), {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('.md'))
    .map(name => `${folder}${name}`);
}

/** The names in a folder, or the file's own; nothing when there is neither. */
function entriesOf(path: string): string[] {
  try {
    return path.endsWith('/')
      ? readdirSync(new URL(path, root))
      : [readFileSync(new URL(path, root), 'latin1')];
  } catch {
    return [];
  }
}
