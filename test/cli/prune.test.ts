import {PassThrough} from 'node:stream';
import test from 'ava';
import {isConfirmed} from '../../src/cli/prune.js';
import type {Sdk} from '../../src/cli/sdk.js';
import {command} from './recording-sdk.js';

const nothing = async () => ({deleted: [], reclaimedBytes: 0});
const answers: Partial<Sdk> = {
  pruneContainers: async () => ({deleted: ['a', 'b'], reclaimedBytes: 6}),
  pruneImages: async () => ({deleted: [{untagged: 'a:1'}, {deleted: 'sha256:1'}], reclaimedBytes: 1_983_994}),
  pruneNetworks: async () => ({deleted: ['n']}),
  pruneVolumes: async () => ({deleted: ['v'], reclaimedBytes: 0}),
  pruneBuilds: async () => ({reclaimedBytes: 1_000_000}),
};
const prune = (line: string, answered = answers) => command(line.split(' '), answered);

test('what was deleted is listed, and what that freed', async t => {
  t.is(
    (await prune('container prune -f')).stdout,
    'Deleted Containers:\na\nb\n\nTotal reclaimed space: 6B\n',
  );
  t.is(
    (await prune('image prune -f')).stdout,
    'Deleted Images:\nuntagged: a:1\ndeleted: sha256:1\n\nTotal reclaimed space: 1.984MB\n',
  );
  t.is((await prune('volume prune --force')).stdout, 'Deleted Volumes:\nv\n\nTotal reclaimed space: 0B\n');
  t.is((await prune('container prune -f', {pruneContainers: nothing})).stdout, 'Total reclaimed space: 0B\n');
  t.is(
    (await prune('system prune -f --volumes')).stdout,
    'Deleted Containers:\na\nb\n\nDeleted Networks:\nn\n\nDeleted Volumes:\nv\n\nDeleted Images:\nuntagged: a:1\ndeleted: sha256:1\n\nTotal reclaimed space: 2.984MB\n',
  );
});

test('what builds remember goes with the rest, unless labels choose', async t => {
  const asked = async (line: string) =>
    (await prune(line)).asked.find(([method]) => method === 'pruneBuilds')?.[1];
  t.deepEqual(await asked('system prune -f'), {unusedMs: 0});
  t.like(await asked('system prune -f --filter until=1h'), {unusedMs: 3_600_000});
  t.is(await asked('system prune -f --filter label=a'), undefined);
});

test('filters are handed on', async t => {
  const [[, containers]] = (
    await prune('container prune -f --filter until=5 --filter label!=keep --filter label=a=b')
  ).asked as unknown as [[string, object]];
  t.deepEqual(containers, {until: 5_000_000_000n, labels: ['a=b'], withoutLabels: ['keep']});
  const [[, images]] = (await prune('image prune -af')).asked as unknown as [[string, object]];
  t.deepEqual(images, {labels: [], withoutLabels: [], all: true});
  t.is(
    (await prune('volume prune -f --filter until=1h')).stderr,
    "Error response from daemon: Invalid filter 'until'\n",
  );
  t.is(
    (await prune('container prune -f --filter until=xx')).stderr,
    'Error response from daemon: failed to parse value as time or duration: "xx"\n',
  );
  t.like(await prune('system prune -f --volumes --filter until=1h'), {
    stderr: 'ERROR: The "until" filter is not supported with "--volumes"\n',
    exitCode: 1,
    asked: [],
  });
});

const asks = test.macro({
  async exec(t, answer: string | undefined, expected: boolean) {
    const stdin = new PassThrough();
    if (answer === undefined) stdin.end();
    else stdin.write(answer);
    let said = '';
    const context = {stdin, stdout: {write: (text: string) => (said += text)}} as never;
    const call = {has: () => false} as never;
    t.is(await isConfirmed(call, context, 'WARNING! This will remove all stopped containers.'), expected);
    t.is(
      said,
      'WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ',
    );
  },
  title: (_, answer) => `the answer ${JSON.stringify(answer)} to the question`,
});
test(asks, 'y\n', true);
test(asks, 'YES\n', true);
test(asks, 'n\n', false);
test(asks, '\n', false);
test(asks, undefined, false);

test('system df sums up, by kind', async t => {
  const df = (...words: string[]) =>
    command(['system', 'df', ...words], {
      diskUsage: async () => ({
        images: [
          {id: 'sha256:1', sizeBytes: 1_983_886, sharedBytes: 0, containers: 2},
          {id: 'sha256:2', sizeBytes: 114, sharedBytes: 114, containers: 0},
        ],
        layersBytes: 1_984_000,
        volumes: [
          {name: 'a', sizeBytes: 30, containers: 1},
          {name: 'b', sizeBytes: 10, containers: 0},
        ],
      }),
      listImages: async () => [],
      list: async () => [],
      listVolumes: async () => [
        {name: 'a', mountpoint: '/a', labels: {}, inUse: true},
        {name: 'b', mountpoint: '/b', labels: {}, inUse: false},
      ],
    });
  t.is(
    (await df()).stdout,
    [
      'TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE',
      'Images          2         1         1.984MB   114B (0%)',
      'Containers      0         0         0B        0B',
      'Local Volumes   2         1         40B       10B (25%)',
      'Build Cache     0         0         0B        0B',
      '',
    ].join('\n'),
  );
  t.is(
    (await df('--format', 'json')).stdout.split('\n')[0],
    '{"Active":"1","Reclaimable":"114B (0%)","Size":"1.984MB","TotalCount":"2","Type":"Images"}',
  );
  t.is(
    (await df('--format', '{{.Nope}}')).stderr,
    `template parsing error: template: :1:2: executing "" at <.Nope>: can't evaluate field Nope in type *formatter.diskUsageImagesContext\n`,
  );
  t.regex(
    (await df('-v')).stdout,
    /^Images space usage:[\s\S]*VOLUME NAME {3}LINKS {5}SIZE\na {13}1 {9}30B\n/,
  );
  t.is(JSON.parse((await df('-v', '--format', 'json')).stdout).Volumes[1].Size, '10B');
  t.is(
    (await df('-v', '--format', '{{range .Volumes}}{{.Name}} {{.Size}}\\n{{end}}')).stdout,
    'a 30B\nb 10B\n',
  );
  t.is((await df('-v', '--format', '{{json .Images}} {{len .Volumes}}')).stdout, '[] 2');
  t.regex(
    (await df('-v', '--format', '{{json .}}')).stdout,
    /^\{"Images":\[\],"Containers":\[\],"Volumes":\[/,
  );
  t.like(await df('-v', '--format', '{{.Nope}}'), {exitCode: 1, stdout: ''});
});
