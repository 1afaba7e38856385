// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a Dockerfile writes variables like that
import {readFileSync} from 'node:fs';
import test from 'ava';
import type {ContainerDefaults} from '../../src/oci/index.js';
import {
  applySetting,
  describeSetting,
  expandStep,
  expandWord,
  expandWords,
  parseDockerfile,
  parseInstruction,
  readDockerfile,
  readInstruction,
  type Setting,
  type Settings,
} from '../../src/sdk/dockerfile/index.js';
import {applyChanges} from '../../src/sdk/dockerfile-changes.js';

interface Recorded {
  readonly Op: 'parse' | 'word';
  readonly Text: string;
  readonly Env?: readonly string[];
  readonly Escape?: string;
  readonly Skip?: boolean;
  readonly answer: Readonly<Record<string, unknown>>;
}

const fixture =
  process.env['DOCKERFILE_CASES'] ?? new URL('../fixtures/dockerfile/buildkit.jsonl', import.meta.url);
const recorded = readFileSync(fixture, 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Recorded);

test('Dockerfiles are read as BuildKit reads them: instructions, flags, heredocs, continued lines, directives', t => {
  for (const {Op, Text, answer} of recorded) {
    if (Op !== 'parse') continue;
    t.deepEqual(asRecorded(Text), 'error' in answer ? {error: true} : answer, JSON.stringify(Text));
  }
});

test('variables and quotes are replaced as BuildKit replaces them', t => {
  for (const {Op, Text, Env = [], Escape = '\\', Skip = false, answer} of recorded) {
    if (Op !== 'word') continue;
    const values = new Map(Env.map(each => each.split('=', 2) as [string, string]));
    const options = {lookup: (name: string) => values.get(name), escapeToken: Escape, keepUnset: Skip};
    const word = () => expandWord(Text, options);
    if ('error' in answer) t.throws(word, undefined, Text);
    else t.is(word(), answer['word'] as string, Text);
  }
});

/** A mistake in the arguments is one of reading there, and of the instruction here. */
function asRecorded(text: string): unknown {
  try {
    const {escapeToken, instructions} = readDockerfile(text);
    const nodes = instructions.map(({word, flags, heredocs, line, endLine, text: whole}) => ({
      Word: word,
      Flags: flags,
      Heredocs: heredocs.map(({name, expand, chomp, content}) => ({
        Name: name,
        Expand: expand,
        Chomp: chomp,
        Content: content,
      })),
      Start: line,
      End: endLine,
      Text: whole,
    }));
    if (instructions.some(each => hasBadArguments(each, escapeToken))) return {error: true};
    return {nodes, escape: escapeToken};
  } catch {
    return {error: true};
  }
}

function hasBadArguments(instruction: ReturnType<typeof readInstruction>, escapeToken: string): boolean {
  try {
    parseInstruction(instruction, escapeToken);
    return false;
  } catch (error) {
    return /must have two arguments|can't find =|comprised of strings/.test((error as Error).message);
  }
}

const refuses = test.macro({
  exec(t, text: string, line: number, message: string) {
    const error = t.throws(() => parseDockerfile(text), {code: 'ERR_DOCKERFILE_SYNTAX'});
    t.is(error?.message, `dockerfile parse error on line ${line}: ${message}`);
  },
  title: (_, text) => `refuses ${JSON.stringify(text)}`,
});

test(refuses, 'FROM a\n\nRUNN x\n', 3, 'unknown instruction: RUNN (did you mean RUN?)');
test(refuses, 'RUN x', 1, 'no build stage in current context');
test(refuses, 'ARG x=1\n', 1, 'no build stage in current context');
test(refuses, 'FROM a b', 1, 'FROM requires either one or three arguments');
test(
  refuses,
  'FROM a AS 1b',
  1,
  'invalid name for build stage: "1b", name can\'t start with a number or contain symbols',
);
test(
  refuses,
  'FROM a\nCOPY x',
  2,
  'COPY requires at least two arguments, but only one was provided. Destination could not be determined',
);
test(refuses, 'FROM a\nCOPY --nope=1 x y', 2, 'unknown flag: --nope');
test(refuses, 'FROM a\nCOPY --chown=1 --chown=2 x y', 2, 'duplicate flag specified: --chown');
test(refuses, 'FROM a\nCOPY --link=maybe x y', 2, 'expecting boolean value for flag --link, not: maybe');
test(refuses, 'FROM a\nCOPY x <<E\nE\n', 2, 'COPY cannot accept a heredoc as a destination');
test(refuses, 'FROM a\nENV x', 2, 'ENV must have two arguments');
test(refuses, 'FROM a\nENV a=1 b', 2, 'Syntax error - can\'t find = in "b". Must be of the form: name=value');
test(refuses, 'FROM a\nSHELL sh -c', 2, 'SHELL requires the arguments to be in JSON form: SHELL sh -c');
test(
  refuses,
  'FROM a\nCMD ["a", 1]',
  2,
  'when using JSON array syntax, arrays must be comprised of strings only',
);
test(refuses, 'FROM a\nHEALTHCHECK NOPE', 2, 'Unknown type "NOPE" in HEALTHCHECK (try CMD)');
test(refuses, 'FROM a\nHEALTHCHECK --interval=1us CMD x', 2, 'Interval "interval" cannot be less than 1ms');
test(refuses, 'FROM a\nONBUILD FROM b', 2, "FROM isn't allowed as an ONBUILD trigger");
test(refuses, 'FROM a\nONBUILD ONBUILD RUN x', 2, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
test(refuses, 'FROM a\nONBUILD COPY x', 2, parseErrorOf('COPY x'));
test(refuses, 'FROM a\nRUN --network=lan x', 2, 'invalid network mode "lan"');
test(refuses, 'FROM a\nUSER', 2, 'USER requires exactly one argument');

function parseErrorOf(line: string): string {
  try {
    parseInstruction(readInstruction(line));
    return '';
  } catch (error) {
    return (error as Error).message.replace(/^.*?: /, '');
  }
}

/** What instructions make of a configuration, variables being those of the image. */
function settingsAfter(
  text: string,
  config: ContainerDefaults = {},
): {config: ContainerDefaults; told: string[]} {
  let settings: Settings = {config, author: undefined, hasCommand: false};
  const told: string[] = [];
  for (const instruction of readDockerfile(text).instructions) {
    const lookup = (name: string) =>
      settings.config.Env?.find(each => each.startsWith(`${name}=`))?.slice(name.length + 1);
    const step = expandStep(parseInstruction(instruction), lookup, '\\') as Setting & {at: never};
    settings = applySetting(settings, step);
    told.push(describeSetting(step, settings.config));
  }
  return {config: settings.config, told};
}

test('ENV has two forms, replaces in place, and its variables are those from before the instruction', t => {
  const {config} = settingsAfter('ENV a=1 b="two words" c=\\ d\nENV a=$b e=$a\nENV old  the rest "as is"\n');
  t.deepEqual(config.Env, ['a=two words', 'b=two words', 'c= d', 'e=1', 'old=the rest as is']);
});

test('an ENTRYPOINT forgets the CMD of the image it builds on, not one of its own stage', t => {
  t.deepEqual(settingsAfter('ENTRYPOINT ["a"]', {Cmd: ['old']}).config, {Entrypoint: ['a']});
  t.deepEqual(settingsAfter('CMD ["b"]\nENTRYPOINT ["a"]', {Cmd: ['old']}).config, {
    Cmd: ['b'],
    Entrypoint: ['a'],
  });
});

test('the shell form goes through the shell of SHELL, the exec form through none', t => {
  t.deepEqual(settingsAfter('CMD ps -aux').config.Cmd, ['/bin/sh', '-c', 'ps -aux']);
  t.deepEqual(settingsAfter('CMD ["ps", "-aux"]').config.Cmd, ['ps', '-aux']);
  t.deepEqual(settingsAfter('SHELL ["/bin/bash", "-euc"]\nCMD ps').config.Cmd, ['/bin/bash', '-euc', 'ps']);
});

test('a relative WORKDIR continues the one before it', t => {
  t.is(settingsAfter('WORKDIR /a\nWORKDIR b/\nWORKDIR ../c').config.WorkingDir, '/a/c');
  t.is(settingsAfter('WORKDIR a').config.WorkingDir, '/a');
});

test('EXPOSE, VOLUME, LABEL and ONBUILD add to what there is', t => {
  const {config} = settingsAfter(
    'ENV p=90\nEXPOSE 80 81/udp $p 100-101\nVOLUME /a /b\nVOLUME ["/c d"]\nLABEL x=1 "y z"=\'2 3\'\nONBUILD RUN x',
    {Labels: {w: '0'}},
  );
  t.deepEqual(Object.keys(config.ExposedPorts ?? {}).sort(), [
    '100/tcp',
    '101/tcp',
    '80/tcp',
    '81/udp',
    '90/tcp',
  ]);
  t.deepEqual(Object.keys(config.Volumes ?? {}), ['/a', '/b', '/c d']);
  t.deepEqual(config.Labels, {w: '0', x: '1', 'y z': '2 3'});
  t.deepEqual(config.OnBuild, ['RUN x']);
});

test('EXPOSE takes what may be published, of which it keeps the part inside', t => {
  const {config} = settingsAfter('EXPOSE 127.0.0.1:8080:80 90:91/UDP 100/');
  t.deepEqual(Object.keys(config.ExposedPorts ?? {}).sort(), ['100/tcp', '80/tcp', '91/udp']);
  const refusesPort = (port: string, message: string) =>
    t.throws(() => settingsAfter(`EXPOSE ${port}`), {code: 'ERR_INVALID_OPTION', message});
  refusesPort('80/foo', 'Invalid proto: foo');
  refusesPort('99999', 'Invalid containerPort: 99999');
  refusesPort('80-70', 'Invalid containerPort: 80-70');
  refusesPort('99999:80', 'Invalid hostPort: 99999');
  refusesPort('/tcp', 'No port specified: /tcp<empty>');
});

test('a VOLUME whose variable has no value is refused', t => {
  t.throws(() => settingsAfter('VOLUME /a $UNSET'), {
    code: 'ERR_INVALID_OPTION',
    message: 'VOLUME specified can not be an empty string',
  });
});

test('a change of an image is one of the instructions that commit takes', t => {
  t.deepEqual(applyChanges({}, ['user me', 'CMD ["a"]']), {User: 'me', Cmd: ['a']});
  for (const change of ['STOPSIGNAL 9', 'SHELL ["a"]', 'RUN x', 'FOO x', 'COPY x']) {
    const message = `${change.split(' ')[0]!.toLowerCase()} is not a valid change command`;
    t.throws(() => applyChanges({}, [change]), {code: 'ERR_INVALID_OPTION', message});
  }
});

test('HEALTHCHECK takes all of its options, in nanoseconds as Docker keeps them', t => {
  const text =
    'HEALTHCHECK --interval=1m30s --timeout=3s --start-period=5s --start-interval=1s --retries=4 CMD curl -f x';
  t.deepEqual(settingsAfter(text).config.Healthcheck, {
    Test: ['CMD-SHELL', 'curl -f x'],
    Interval: 90e9,
    Timeout: 3e9,
    StartPeriod: 5e9,
    StartInterval: 1e9,
    Retries: 4,
  });
  t.deepEqual(settingsAfter('HEALTHCHECK NONE').config.Healthcheck, {Test: ['NONE']});
});

test('the history tells of instructions in the words of the classic builder', t => {
  const text =
    'ENV TICK_SECONDS 2\nWORKDIR /a\nVOLUME /data\nEXPOSE 80 81/udp\nLABEL a=b c="d e"\nENTRYPOINT ["/e"]\nCMD tick';
  t.deepEqual(settingsAfter(text).told, [
    ' ENV TICK_SECONDS=2',
    'WORKDIR /a',
    ' VOLUME [/data]',
    ' EXPOSE 80 81/udp',
    ' LABEL a=b c=d e',
    ' ENTRYPOINT ["/e"]',
    ' CMD ["/bin/sh" "-c" "tick"]',
  ]);
});

test('what would grow without end is refused: nested and doubled variables, long lines, patterns', t => {
  const options = (value: string) => ({lookup: () => value});
  const nested = `${'${a:-'.repeat(5000)}x${'}'.repeat(5000)}`;
  t.throws(() => expandWord(nested, {lookup: () => undefined}), {message: /nested/});
  t.throws(() => expandWord('$a'.repeat(64), options('x'.repeat(65_536))), {message: /longer than/});
  t.throws(() => expandWord(`\${a//${'*a'.repeat(200)}b/c}`, options('a'.repeat(100_000))), {
    message: /too long/,
  });
  t.throws(() => readDockerfile(`FROM a\nRUN ${'x'.repeat(70_000)}`), {
    message: /line 2: .*max allowed size/,
  });
  t.throws(() => readDockerfile('USER a\n'.repeat(20_000)), {message: /more than 10000 instructions/});
  t.deepEqual(expandWords(`${' '.repeat(60_000)}a`, options('')), ['a']);
});
