// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what is compared are such strings
/**
 * Dockerfiles and words to compare with BuildKit's: `cases(seed, count)` are random ones, `HANDPICKED` those that went
 * wrong somewhere once. Run, it asks the oracle and prints what belongs into test/fixtures/dockerfile/buildkit.jsonl:
 *
 *     node test/conformance/dockerfiles.mjs ORACLE [SEED] [COUNT]
 */
import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';

const ENV = ['x=aabb', 'y=', 'lo=a b  c'];

export const HANDPICKED = [
  'FROM a\nRUN <<E\nhi\nE\n',
  'FROM a\nRUN <<E cat <<-F\nhi\nE\n\tx\n\tF\nUSER b\n',
  'FROM a\nCOPY <<X <<"Y" /d/\n1\nX\n2 $x\nY\n',
  "FROM a\nRUN <<'E' <<E2\n$a\nE\n$b\nE2\n",
  'FROM a\nRUN <<E\nnever ends\n',
  'FROM a\nRUN ["<<E"]\nUSER b\n',
  'FROM a\nRUN echo "<<E"\nUSER b\n',
  'FROM a\nRUN cat 3<<E\nx\nE\n',
  'FROM a\nRUN << E\nx\nE\n',
  'FROM a\nONBUILD RUN <<E\nx\nE\nONBUILD USER <<E\n',
  '# escape=`\nFROM a\nRUN a `\n b\nRUN c \\\nUSER d\n',
  '# syntax=docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM a\n',
  '# escape=`\n# escape=\\\nFROM a\n',
  '# escape=x\nFROM a\n',
  '# a comment\n# escape=`\nFROM a\nRUN a \\\n b\n',
  '\n# escape=`\nFROM a\n',
  'FROM a\nRUN a \\\n# c\n\n  b \\  \n  c\n',
  'FROM a\nRUN a \\\\\nUSER b\n',
  'FROM a\nRUN a \\\n',
  '   from   a\n\trun b\n',
  'FROM --platform=linux/amd64 --x="a b" -- --y a\n',
  'FROM a\nCOPY --from="b c"\\ d --chown=1:2 e f\n',
  '\ufeffFROM a\n',
  'FROM a\r\nRUN <<E\r\nhi\r\nE\r\n',
  '# only a comment\n',
  '',
  'FROM a\n\\\nUSER b\n',
].map(Text => ({Op: 'parse', Text}));

const WORDS = [
  '$x',
  '${x}',
  '$x$y',
  '${y:-z}',
  '${y-z}',
  '${u:-z}',
  '${u-z}',
  '${u:+z}',
  '${x:+z}',
  '${x+z}',
  '${u?no}',
  '${y:?no}',
  '${x#a}',
  '${x##a}',
  '${x##*a}',
  '${x#*a}',
  '${x%b}',
  '${x%%b*}',
  '${x%b*}',
  '${x/a/c}',
  '${x//a/c}',
  '${x/*/c}',
  '${x//?/c}',
  '${x/\\//c}',
  '${x/a}',
  '${x//',
  '"a $x b"',
  "'a $x b'",
  '\\$x',
  '"\\$x"',
  '"\\a"',
  'a\\',
  '"a',
  "'a",
  '${',
  '${}',
  '${:x}',
  '${x',
  '$',
  '$$',
  '$1a',
  '${x:=a}',
  '${u:-${x}}',
  '${u:-"a b"}',
  '${x^}',
  'a$x-b',
  '${lo}',
  '"${lo}"',
  '$x_',
  '${x:-',
  '${u:-\\}}',
  '<<E',
  '< <',
  "\\'",
  '${x//b/}',
  '${y//x/z}',
  '${x#"a"}',
  '${x%\\*}',
];

const ATOMS = [
  ...[
    'a',
    'b',
    '$x',
    '${x}',
    '${y:-z}',
    '${u:+w}',
    '${x#a}',
    '${x%%b*}',
    '${x/a/b}',
    '${x//?/c}',
    '"',
    "'",
    '\\',
    '\\\\',
  ],
  ...[
    '\\"',
    '`',
    ' ',
    '  ',
    '\t',
    '=',
    '<<E',
    '<<-F',
    '<<"G"',
    '< <',
    '[',
    ']',
    '["a"]',
    '["a", "b"]',
    ',',
    '{',
    '}',
  ],
  ...[
    '$',
    '#',
    '--flag=1',
    '\n',
    '\\\n',
    '\\ \n',
    '# c\n',
    '\n\n',
    'E\n',
    'F\n',
    '\tF\n',
    'G\n',
    'x=y',
    '0<<E',
    '$(',
  ],
  ...['${', '${:}', '${a?b}', '${x:', '%', '*', '?', '\r\n', '\v', '--', '-'],
];
const STARTS = [
  ...[
    'FROM',
    'RUN',
    'COPY',
    'ADD',
    'ENV',
    'CMD',
    'ARG',
    'ONBUILD',
    'USER',
    'HEALTHCHECK',
    'from',
    'run',
    'NOPE',
  ],
  ...['ONBUILD RUN', '# escape=`', '# syntax=x', '#check=y', '#'],
];

/** Mulberry32: the same numbers from the same seed. */
export function random(seed) {
  let state = seed;
  return below => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export function cases(seed, count) {
  const below = random(seed);
  const pick = list => list[below(list.length)];
  const some = most =>
    Array.from({length: below(most) + 1}, () => pick(ATOMS) + (below(2) ? ' ' : '')).join('');
  return Array.from({length: count}, (_, index) => {
    if (index % 2 === 1) return asWord(some(10), pick(['\\', '`']), below(3) === 0);
    const lines = Array.from({length: below(6) + 1}, () => `${pick(STARTS)} ${some(5)}\n`);
    return {Op: 'parse', Text: lines.join('')};
  });
}

function asWord(Text, Escape = '\\', Skip = false) {
  return {Op: 'word', Text, Env: ENV, Escape, Skip};
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [oracle, seed = '1', count = '150'] = process.argv.slice(2);
  const wanted = [...HANDPICKED, ...WORDS.map(text => asWord(text)), ...cases(Number(seed), Number(count))];
  // It forgets words before a substitution with a modifier, and with them heredocs: ours does not.
  const asked = wanted.filter(({Op, Text}) => Op !== 'parse' || !/<<\S*\$\{\w+[^\w}]/.test(Text));
  const input = asked.map(each => JSON.stringify(each)).join('\n');
  const {stdout} = spawnSync(oracle, {input, encoding: 'utf8', maxBuffer: 2 ** 30});
  const answers = stdout.trim().split('\n');
  for (const [index, each] of asked.entries())
    console.log(JSON.stringify({...each, answer: JSON.parse(answers[index])}));
}
