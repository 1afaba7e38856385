import test from 'ava';
import {formatList, type ListKind, type ListOptions, type ListRow} from '../../src/inspect/index.js';

const volumes: ListRow[] = [
  {Name: 'data1', Driver: 'local', Labels: 'a=1'},
  {Name: 'データ', Driver: 'nfs', Labels: ''},
];
const labels = [{a: '1', 'k.wide': '日本語'}, null];

const prints = test.macro({
  exec(t, format: string, expected: string, options: ListOptions = {}) {
    t.is(formatList('volume', volumes, format, {labels, ...options}), expected);
  },
  title: (name, format) => name ?? `volumes as ${JSON.stringify(format)}`,
});

test(prints, '', 'DRIVER    VOLUME NAME\nlocal     data1\nnfs       データ\n');
test(prints, 'table', 'DRIVER    VOLUME NAME\nlocal     data1\nnfs       データ\n');
test(prints, '{{.Name}}', 'data1\nデータ\n');
test(
  prints,
  'table {{.Name}}\\t{{.Label "k.wide"}}\\t{{.Driver}}',
  'VOLUME NAME   wide      DRIVER\ndata1         日本語    local\nデータ                  nfs\n',
);
test(prints, 'table {{upper .Name}}', 'VOLUME NAME\nDATA1\nデータ\n');
test(
  prints,
  'json',
  '{"Driver":"local","Labels":"a=1","Name":"data1"}\n{"Driver":"nfs","Labels":"","Name":"データ"}\n',
);
test(prints, 'raw', 'name: data1\ndriver: local\n\nname: データ\ndriver: nfs\n\n');
test('a quiet table is the names alone', prints, 'table', 'data1\nデータ\n', {quiet: true});
test(
  'a header that cannot be printed is cut short, the rows are not',
  prints,
  'table {{.Name}} {{range split .Driver "x"}}{{.}}{{end}}!',
  'VOLUME NAME \ndata1 local!\nデータ nfs!\n',
);

test('without rows a table is its header, other formats nothing', t => {
  t.is(formatList('network', [], 'table'), 'NETWORK ID   NAME      DRIVER    SCOPE\n');
  t.is(formatList('network', [], '{{.ID}}'), '');
});

const fails = test.macro({
  exec(t, kind: ListKind, format: string, message: string) {
    t.throws(() => formatList(kind, kind === 'container' ? [] : volumes, format), {message});
  },
  title: (_, kind, format) => `a list of ${kind}s refuses ${JSON.stringify(format)} in Docker's words`,
});

test(fails, 'container', '{{.Names', 'failed to parse template: template: :1: unclosed action');
test(
  fails,
  'container',
  'table {{.Nope}}',
  `failed to execute template: template: :1:8: executing "" at <.Nope>: can't evaluate field Nope in type *formatter.ContainerContext`,
);
test(fails, 'volume', '{{.Name', 'template parsing error: template: :1: unclosed action');
test(
  fails,
  'volume',
  '{{.v}}',
  'template parsing error: template: :1:2: executing "" at <.v>: v is an unexported field of struct type *formatter.volumeContext',
);

test('images show digests only where they are asked for', t => {
  const rows = [{Repository: 'a', Tag: '1', ID: 'i', Digest: 'sha256:d', CreatedSince: '', Size: '1B'}];
  t.is(formatList('image', rows, '{{.Digest}}'), 'sha256:d\n');
  t.is(formatList('image', rows, '{{ .Digest }}'), '<none>\n');
  t.is(
    formatList('image', rows, 'table', {digests: true}),
    'REPOSITORY   TAG       DIGEST     IMAGE ID   CREATED   SIZE\na            1         sha256:d   i          N/A       1B\n',
  );
});

test('ps --size has one more column', t => {
  const row = {
    ID: 'i',
    Image: 'b',
    Command: '"c"',
    RunningFor: 'r',
    Status: 's',
    Ports: '',
    Names: 'n',
    Size: '0B',
  };
  t.regex(formatList('container', [row], 'table', {size: true}), /NAMES {5}SIZE\n.* {3}n {9}0B\n$/);
});

test('only what has labels can be asked for one', t => {
  const image = [{Repository: 'a', ID: 'i'}];
  t.throws(() => formatList('image', image, '{{.Label "x"}}'), {
    message: /can't evaluate field Label in type \*formatter\.imageContext/,
  });
  t.throws(() => formatList('volume', [{Name: 'v'}], '{{.ID}}'), {
    message: /can't evaluate field ID in type \*formatter\.volumeContext/,
  });
});
