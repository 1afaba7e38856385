import {readFileSync} from 'node:fs';
import test from 'ava';
import {formatList, inspectFormat, LISTS} from '../../src/inspect/index.js';

/**
 * Every template in Docker's own documentation of `docker inspect`, `docker ps --format` and of formatting.
 * https://docs.docker.com/reference/cli/docker/inspect/ …/container/ls/ https://docs.docker.com/engine/cli/formatting/
 */
const web = readFileSync(new URL('conformance/data/container-web.json', import.meta.url), 'utf8');

const inspects = test.macro({
  exec: (t, template: string, expected: string) => t.is(inspectFormat(template, web), expected),
  title: (_, template: string) => `inspect --format ${template}`,
});

test(inspects, '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', '172.30.0.10172.31.0.2');
test(
  inspects,
  '{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}',
  '02:42:ac:1e:00:0a02:42:ac:1f:00:02',
);
test(inspects, '{{.LogPath}}', (JSON.parse(web) as {LogPath: string}).LogPath);
test(inspects, '{{.Config.Image}}', 'bb:latest');
test(inspects, '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', '8080');
test(inspects, '{{json .State.Health.Status}}', '"healthy"');
test(inspects, '{{join .Args " , "}}', '-c , sleep 100000');
test(inspects, '{{json .Config.Entrypoint}}', 'null');
test(inspects, '{{split .Config.Image ":"}}', '[bb latest]');
test(inspects, '{{title .State.Status}} {{upper .State.Status}} {{lower .Name}}', 'Running RUNNING /web');
test(
  inspects,
  '{{range .NetworkSettings.Networks}}{{println .IPAddress}}{{end}}',
  '172.30.0.10\n172.31.0.2\n',
);
test(inspects, '{{ println .Config.Image }}', 'bb:latest\n');
test(inspects, '{{.NetworkSettings.IPAddress}}', '');
test(inspects, '{{with .NetworkSettings.Networks.appnet}}{{.Gateway}}{{end}}', '172.30.0.1');

test('inspect --format {{json .Config}} is the configuration as JSON', t => {
  t.is((JSON.parse(inspectFormat('{{json .Config}}', web)) as {Image: string}).Image, 'bb:latest');
});

test('inspect --format {{range $p, $conf := .NetworkSettings.Ports}} … lists the published ports', t => {
  const template =
    '{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> {{(index $conf 0).HostPort}} {{end}}';
  const ports = {'80/tcp': [{HostIp: '', HostPort: '8080'}], '53/udp': [{HostIp: '', HostPort: '53'}]};
  const container = {HostConfig: {}, State: {}, NetworkSettings: {Ports: ports}};
  t.is(inspectFormat(template, container), ' 53/udp -> 53  80/tcp -> 8080 ');
});

const row = {
  ID: '9b957e098315',
  Names: 'web',
  Image: 'nginx',
  Command: '"nginx -g"',
  CreatedAt: '2020-09-13 12:26:40 +0000 UTC',
  RunningFor: '6 years ago',
  Ports: '80/tcp',
  State: 'running',
  Status: 'Up 5 minutes',
  Size: '0B',
  Labels: 'com.docker.swarm.node=ubuntu',
  Mounts: 'data',
  LocalVolumes: '1',
  Networks: 'bridge',
  Platform: null,
};
const lists = test.macro({
  exec(t, format: string, expected: string) {
    const labels = [{'com.docker.swarm.node': 'ubuntu'}];
    t.is(formatList('container', [row], format, {labels}), expected);
  },
  title: (_, format: string) => `ps --format ${format}`,
});

test(lists, '{{.ID}}: {{.Command}}', '9b957e098315: "nginx -g"\n');
test(
  lists,
  'table {{.ID}}\\t{{.Labels}}',
  'CONTAINER ID   LABELS\n9b957e098315   com.docker.swarm.node=ubuntu\n',
);
test(lists, 'table {{.Names}}\\t{{.Label "com.docker.swarm.node"}}', 'NAMES     node\nweb       ubuntu\n');
for (const name of Object.keys(LISTS.container.headers).filter(name => name !== 'Platform')) {
  test(lists, `{{.${name}}}`, `${row[name as 'ID']}\n`);
}

test('ps --format json prints a row as JSON on each line', t => {
  t.deepEqual(JSON.parse(formatList('container', [row], 'json')), row);
  t.is(formatList('container', [row], '{{json .}}'), formatList('container', [row], 'json'));
});
