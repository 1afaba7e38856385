import test from 'ava';
import {compileFacts, type FactsKind, TemplateError} from '../../src/inspect/index.js';

/** Recorded from the docker command line 28.2. */

const start = JSON.stringify({
  status: 'start',
  id: 'abc',
  from: 'nginx',
  Type: 'container',
  Action: 'start',
  Actor: {ID: 'abc', Attributes: {z: '1', image: 'nginx', name: 'web'}},
  scope: 'local',
  time: 1600000000,
  timeNano: 1600000000123456789n.toString(),
}).replace('"1600000000123456789"', '1600000000123456789');
const connect = '{"Type":"network","Action":"connect","Actor":{"ID":"n","Attributes":{}},"time":1600000000}';
const info = '{"ID":"x","Containers":3,"Driver":"overlay2","NCPU":2,"ClientInfo":{"Version":"28.2.2"}}';
const version =
  '{"Client":{"Version":"28.2.2"},"Server":{"Version":"1.2","Os":"linux","Platform":{"Name":"P"}}}';

const prints = test.macro({
  exec(t, kind: FactsKind, format: string, document: string, expected: string) {
    t.is(compileFacts(kind, format)(document), expected);
  },
  title: (name, kind: FactsKind, format: string) => name ?? `${kind} --format ${JSON.stringify(format)}`,
});

test(
  prints,
  'event',
  '',
  start,
  '2020-09-13T12:26:40.123456789Z container start abc (image=nginx, name=web, z=1)\n',
);
test(
  'an event without attributes and nanoseconds',
  prints,
  'event',
  '',
  connect,
  '2020-09-13T12:26:40.000000000Z network connect n\n',
);
test(
  prints,
  'event',
  '{{printf "%T" .}} {{.Actor.Attributes.image}}\\n {{.TimeNano}}',
  start,
  'events.Message nginx\\n 1600000000123456789\n',
);
test(prints, 'event', 'json', connect, `${connect}\n`);
test(prints, 'event', 'table {{.ID}}\\t{{.Status}}', start, 'table abc\\tstart\n');
test(
  prints,
  'info',
  '{{.NCPU}} {{.Driver}} {{.Info.Containers}} {{.ClientInfo.Version}} {{.SecurityOptions}}',
  info,
  '2 overlay2 3 28.2.2 []\n',
);
test(prints, 'info', '{{.Swarm}} {{.Runtimes}}', info, '{   false  [] 0 0 []} map[]\n');
test(
  prints,
  'version',
  '{{.Client.Version}}\\t{{.Server.Os}} {{.Client.Platform}} {{.Server.Platform}}',
  version,
  '28.2.2\\tlinux <nil> {P}\n',
);

const fails = test.macro({
  exec(t, kind: FactsKind, format: string, message: string, where: TemplateError['kind']) {
    const error = t.throws(() => compileFacts(kind, format)('{}'), {instanceOf: TemplateError})!;
    t.deepEqual([error.message, error.kind], [message, where]);
  },
  title: (_, kind: FactsKind, format: string) =>
    `${kind} --format ${JSON.stringify(format)} fails in Docker's words`,
});

test(fails, 'event', '{{', 'Error parsing format: template: :1: unclosed action', 'parse');
test(
  fails,
  'event',
  '{{.Nope}}',
  'Error parsing format: template: :1:2: executing "" at <.Nope>: can\'t evaluate field Nope in type *events.Message',
  'parse',
);
test(fails, 'info', '{{', 'template parsing error: template: :1: unclosed action', 'parse');
test(
  fails,
  'info',
  '{{.Nope}}',
  'template: :1:2: executing "" at <.Nope>: can\'t evaluate field Nope in type system.dockerInfo',
  'exec',
);
test(fails, 'version', '{{', 'template parsing error: template: version:1: unclosed action', 'parse');
test(
  fails,
  'version',
  '{{.Nope}}',
  'template: version:1:2: executing "version" at <.Nope>: can\'t evaluate field Nope in type system.versionInfo',
  'exec',
);
