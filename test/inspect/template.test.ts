import test from 'ava';
import {
  COMPATS,
  compileInspect,
  compileTemplate,
  guessDelims,
  inspectFormat,
  parseJson,
  TemplateError,
  type TemplateOptions,
} from '../../src/inspect/index.js';

const render = (template: string, data: unknown = {}, options?: TemplateOptions): string =>
  compileTemplate(template, options)(data);

const renders = test.macro({
  exec(t, template: string, data: unknown, expected: string) {
    t.is(render(template, data), expected);
  },
  title: (_, template, _data, expected) =>
    `${JSON.stringify(template)} renders as ${JSON.stringify(expected)}`,
});

// Plain JavaScript values become the Go values one would expect.
test(
  renders,
  '{{.N}} {{.F}} {{.B}} {{.S}} {{.Z}}',
  {N: 1, F: 1.5, B: true, S: 'x', Z: null},
  '1 1.5 true x <no value>',
);
test(renders, '{{printf "%T %T %T" .N .F .L}}', {N: 1, F: 0.5, L: []}, 'int float64 []interface {}');
test(renders, '{{.N}}', {N: 9007199254740993n}, '9007199254740993');
test(renders, '{{range $k, $v := .}}{{$k}}={{$v}} {{end}}', {b: 1, a: 2, é: 3}, 'a=2 b=1 é=3 ');
test(renders, '{{.m.x}}', {m: new Map([['x', 1]])}, '1');
test(renders, '{{len .s}} {{slice .s 0 3}} {{index .s 0}}', {s: '日本'}, '6 日 230');
test(renders, '{{range 3}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{end}}', {}, '02');
test(renders, '{{range .}}{{range $.none}}{{else}}{{break}}{{end}}x{{end}}', {a: 1, b: 2}, 'xx');

const fails = test.macro({
  exec(
    t,
    template: string,
    message: string,
    where: {kind: TemplateError['kind']; line?: number; column?: number},
  ) {
    const error = t.throws(() => render(template, {S: 'x'}), {instanceOf: TemplateError})!;
    t.is(error.message, message);
    t.like(error, where);
  },
  title: (_, template) => `${JSON.stringify(template)} fails with Go's message, line and column`,
});

test(fails, '\n{{.S', 'template: :2: unclosed action', {kind: 'parse', line: 2});
test(
  fails,
  'é\n日{{.S.x}}',
  `template: :2:7: executing "" at <.S.x>: can't evaluate field x in type interface {}`,
  {
    kind: 'exec',
    line: 2,
    column: 7,
  },
);
test(
  fails,
  '{{define "t"}}{{template "t"}}{{end}}{{template "t"}}',
  'template: :1:25: executing "t" at <{{template "t"}}>: exceeded maximum template depth (100000)',
  {kind: 'exec'},
);

const hostile = test.macro({
  exec(t, template: string) {
    const limits = {maxSteps: 100_000, maxOutputBytes: 1_000_000};
    const error = t.throws(() => render(template, {}, {limits}), {instanceOf: TemplateError})!;
    t.is(error.code, 'ERR_TEMPLATE_LIMIT');
  },
  title: (name, template) => `${name ?? JSON.stringify(template)} ends at a limit`,
});

test(hostile, '{{range 1000000000000}}{{end}}');
test(hostile, '{{range 1000000}}xxxxxxxxxxxxxxxx{{end}}');
test(hostile, '{{$x := "x"}}{{range 60}}{{$x = print $x $x}}{{end}}');
test(hostile, '{{printf "%999999s%999999s" "" ""}}');
test('50,000 parentheses', hostile, `{{${'('.repeat(50_000)}1${')'.repeat(50_000)}}}`);
test('50,000 nested blocks', hostile, `${'{{if 1}}'.repeat(50_000)}${'{{end}}'.repeat(50_000)}`);

test('widths beyond a million are refused as Go refuses them', t => {
  t.is(render('{{printf "%*d" 10000000 1}}'), '%!(BADWIDTH)1');
});

test('nothing but own data properties is reachable', t => {
  class Secret {
    shown = 1;
    get computed() {
      return t.fail();
    }
    method() {
      return t.fail();
    }
  }
  const data = Object.assign(new Secret(), {call: () => t.fail()});
  for (const name of [
    '__proto__',
    'constructor',
    'computed',
    'method',
    'call',
    'toString',
    'hasOwnProperty',
  ]) {
    t.is(render(`{{.${name}}}{{index . ${JSON.stringify(name)}}}`, data), '<no value><no value>', name);
  }
  t.is(render('{{.}}', data), 'map[shown:1]');
  t.is(render('{{.__proto__.x}}', parseJson('{"__proto__":{"x":1}}')), '1');
  t.is(({} as {x?: unknown}).x, undefined);
  t.throws(() => render('{{.s.length}}', {s: [1]}), {message: /can't evaluate field length/});
});

test('a template keeps nothing from one rendering to the next', t => {
  const template = compileTemplate('{{$x := .n}}{{$x}}{{define "t"}}{{.}}{{end}}{{template "t" $x}}');
  t.deepEqual([template({n: 1}), template({n: 2}), template({n: 1})], ['11', '22', '11']);
});

test("functions of the caller take and give plain values, and their errors are the template's", t => {
  const functions = {
    sum: (...args: unknown[]) => (args as number[]).reduce((a, b) => a + b, 0),
    boom: () => {
      throw new Error('no');
    },
  };
  t.is(render('{{sum 1 .n | printf "%T %d" .n}}', {n: 2}, {functions}), 'int 3');
  t.throws(() => render('{{boom}}', {}, {functions}), {
    message: 'template: :1:2: executing "" at <boom>: error calling boom: no',
  });
});

test('functions that neither Go nor Docker has exist only when asked for', t => {
  const template = '{{.none | default "x"}} {{replace "a" "b" "aa"}} {{keys .}}';
  t.is(render(template, {k: 1}, {extended: true}), 'x bb [k]');
  t.throws(() => render(template), {message: 'template: :1: function "default" not defined'});
});

test('JSON keeps what templates can tell apart', t => {
  const text = '{"a":1.0,"b":12345678901234567890,"s":["x"],"u":"\\ud83d\\ude00\\ud800"}';
  t.is(
    render('{{.a}} {{.b}} {{printf "%T" .s}} {{.u}}', parseJson(text)),
    '1.0 12345678901234567890 []interface {} 😀\ufffd',
  );
  t.is(
    render('{{.a}} {{.b}} {{printf "%T" .s}}', parseJson(text, 'typed')),
    '1 1.2345678901234567e+19 []string',
  );
});

test('broken JSON is refused with the place', t => {
  for (const text of ['', '{', '[1,]', '{"a" 1}', 'nul', '01', '"\\x"', '"\n"', '1 2', '[1']) {
    t.throws(() => parseJson(text), {name: 'JsonSyntaxError'}, text);
  }
  t.throws(() => parseJson('['.repeat(100_000)), {message: 'exceeded max depth'});
});

const container = JSON.stringify({
  Id: 'abc',
  State: {Health: {Log: [{Start: '2025-06-21T01:15:29.5+02:00', End: '2025-06-21T01:15:31Z'}]}},
  Config: {MacAddress: 'x', Healthcheck: {Interval: 90_500_000_000}},
  HostConfig: {
    NetworkMode: 'container:xyz',
    RestartPolicy: {Name: 'always'},
    Ulimits: [{Name: 'nofile', Hard: 2, Soft: 1}],
  },
  NetworkSettings: {IPAddress: '172.17.0.2', Ports: {'80/tcp': [{HostIp: '::', HostPort: '8080'}]}},
});

const inspects = test.macro({
  exec(t, template: string, expected: string) {
    t.is(inspectFormat(template, container, {type: 'container'}), expected);
  },
  title: (_, template, expected) => `a container's ${template} is ${expected}`,
});

test(inspects, '{{.ID}}', 'abc');
test(inspects, '{{.Id}}', 'abc');
test(
  inspects,
  '{{.HostConfig.NetworkMode.IsContainer}} {{.HostConfig.NetworkMode.ConnectedContainer}}',
  'true xyz',
);
test(inspects, '{{.HostConfig.RestartPolicy.IsAlways}}', 'true');
test(inspects, '{{.HostConfig.Ulimits}}', '[nofile=1:2]');
test(inspects, '{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Interval.Seconds}}', '1m30.5s 90.5');
test(
  inspects,
  '{{range $p, $b := .NetworkSettings.Ports}}{{$p.Port}}/{{$p.Proto}} {{(index $b 0).HostPort}}{{end}}',
  '80/tcp 8080',
);
test(
  inspects,
  '{{with index .State.Health.Log 0}}{{.Start}}, {{.Start.UTC.Format "Jan _2 15:04:05.000"}}{{end}}',
  '2025-06-21 01:15:29.5 +0200 +0200, Jun 20 23:15:29.500',
);
test(
  inspects,
  '{{with index .State.Health.Log 0}}{{.End.Sub .Start}} {{.Start.Weekday}} {{.Start.YearDay}}{{end}}',
  '2h0m1.5s Saturday 172',
);

test('an object whose JSON does not fit Docker’s types is refused', t => {
  const error = t.throws(() => inspectFormat('{{.State}}', '{"State":"running"}', {type: 'container'}), {
    instanceOf: TemplateError,
  })!;
  t.is(error.code, 'ERR_TEMPLATE_DATA');
  t.regex(
    error.message,
    /^json: cannot unmarshal string into Go struct field .*State of type container\.State$/,
  );
});

test('every profile prints what its release knows, and fails on what it does not', t => {
  t.deepEqual([...COMPATS].sort(), ['20.10', '24', '28', '29']);
  const ask = (compat: (typeof COMPATS)[number], template: string) => {
    try {
      return compileInspect(template, {compat})('container', container);
    } catch (error) {
      return (error as Error).message;
    }
  };
  t.is(ask('28', '{{.NetworkSettings.IPAddress}}{{.Config.MacAddress}}'), '172.17.0.2x');
  t.is(ask('20.10', '{{.NetworkSettings.IPAddress}}'), '172.17.0.2');
  t.regex(ask('29', '{{.NetworkSettings.IPAddress}}'), /map has no entry for key "IPAddress"$/);
  t.regex(ask('29', '{{.Config.MacAddress}}'), /map has no entry for key "MacAddress"$/);
  t.regex(ask('20.10', '{{.HostConfig.Annotations}}'), /map has no entry for key "Annotations"$/);
});

test('templates with << and without {{ are taken to be delimited by << >>', t => {
  t.deepEqual(guessDelims('<<.x>>'), ['<<', '>>']);
  t.deepEqual(guessDelims('{{.x}} <<'), ['{{', '}}']);
  t.deepEqual(guessDelims('constant'), ['{{', '}}']);
});

// Found by the fuzzers of test/conformance/.
test(inspects, '{{index .HostConfig.Ulimits 0}}', 'nofile=1:2');
test(inspects, '{{range .HostConfig.Ulimits}}{{.}}{{end}}', 'nofile=1:2');
test(inspects, '{{(index .HostConfig.Ulimits 0).GetRlimit}}', '{7 2 1}');
test(inspects, '{{with index .State.Health.Log 0}}{{.End.Location}}{{.Start.Location}}{{end}}', 'UTC');
test(
  inspects,
  '{{with index .State.Health.Log 0}}{{.Start.Truncate 60000000000}}{{end}}',
  '2025-06-21 01:15:00 +0200 +0200',
);

test('once an object needs the second attempt, a missing label is an error for those after it in the same command', t => {
  const tagged = '{"Name":"a","Labels":{"tier":"front"}}';
  const plain = '{"Name":"b","Labels":{}}';
  const render = compileInspect('{{join .Labels.tier ","}}|', {oneCommand: true});
  t.is(render('network', plain), '|');
  t.throws(() => render('network', tagged), {message: /expected \[\]string; got string/});
  t.throws(() => render('network', plain), {message: /map has no entry for key "tier"/});
  const apart = compileInspect('{{join .Labels.tier ","}}|');
  t.throws(() => apart('network', tagged));
  t.is(apart('network', plain), '|');
});

test('without a fallback the error is the one of the first attempt', t => {
  t.throws(() => compileInspect('{{.Id}}', {fallback: false})('volume', '{"Name":"v"}'), {
    message: 'template: :1:2: executing "" at <.Id>: can\'t evaluate field Id in type volume.Volume',
  });
});

test('inspectFormat takes an object as it is or as text, and knows its type by its keys', t => {
  const template = '{{printf "%T" .}}';
  t.is(inspectFormat(template, {HostConfig: {}, State: {}}), 'container.InspectResponse');
  t.is(inspectFormat(template, '{"RepoTags":[]}'), 'image.InspectResponse');
  t.is(inspectFormat(template, {IPAM: {}}), 'network.Inspect');
  t.is(inspectFormat(template, {Mountpoint: '/x'}), 'volume.Volume');
  t.is(inspectFormat(template, {Mountpoint: '/x'}, {type: 'image'}), 'image.InspectResponse');
  t.is(inspectFormat(template, [1]), '[]interface {}');
  t.throws(() => inspectFormat(template, '{'), {code: 'ERR_TEMPLATE_DATA'});
});
