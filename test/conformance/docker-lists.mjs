// What a stand-in engine lists, and templates for `docker ps`, `images`, `volume ls` and `network ls`.

const id = n => String(n).repeat(64).slice(0, 64);

/** Rows as JSON, digests included: images have them only where the format spells this out. */
export const ROW_FORMAT = '{{json .}}{{/* {{.Digest}} */}}';

const STATS = (id, name, used) => ({
  id,
  name,
  read: '2025-06-21T01:15:30Z',
  preread: '2025-06-21T01:15:29Z',
  pids_stats: {current: 3},
  blkio_stats: {
    io_service_bytes_recursive: [
      {op: 'read', value: 4096 * used},
      {op: 'write', value: 12},
    ],
  },
  num_procs: 0,
  cpu_stats: {cpu_usage: {total_usage: 2_000_000 + used}, system_cpu_usage: 20_000_000, online_cpus: 2},
  precpu_stats: {cpu_usage: {total_usage: 1_000_000}, system_cpu_usage: 10_000_000, online_cpus: 2},
  memory_stats: {usage: 1024 * 1024 * 7 + used, limit: 1024 ** 3 * 2, stats: {}},
  networks: {eth0: {rx_bytes: 1234 * used, tx_bytes: 99}},
});

/** Answers of the engine by path. Times are far in the past, so that "6 years ago" holds for a while. */
export const ANSWERS = new Map(
  Object.entries({
    '/containers/json': [
      {
        Id: id('a1'),
        Names: ['/web', '/other/alias'],
        Image: 'nginx:latest',
        ImageID: `sha256:${id(3)}`,
        Command: 'nginx -g "daemon off;" --with a long line of arguments',
        Created: 1600000000,
        Ports: [
          {IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp'},
          {PrivatePort: 443, Type: 'tcp'},
        ],
        Labels: {'com.example.team': 'infra', env: 'prod', empty: '', 'zoë-x_y': 'Ünï <b>'},
        State: 'running',
        Status: 'Up 5 minutes (healthy)',
        HostConfig: {NetworkMode: 'default'},
        NetworkSettings: {Networks: {appnet: {}}},
        Mounts: [
          {Type: 'volume', Name: 'data1', Source: '', Destination: '/data', Driver: 'local'},
          {Type: 'bind', Source: '/srv/a very long path to somewhere', Destination: '/b'},
        ],
        SizeRw: 1234567,
        SizeRootFs: 987654321,
      },
      {
        Id: id('b2'),
        Names: ['/日本'],
        Image: `sha256:${id(4)}`,
        ImageID: `sha256:${id(4)}`,
        Command: '/nonexistent',
        Created: 1500000000,
        Ports: [],
        Labels: {},
        State: 'exited',
        Status: 'Exited (3) 2 days ago',
        HostConfig: {NetworkMode: 'none'},
        NetworkSettings: {Networks: {none: {}}},
        Mounts: [],
      },
      {
        Id: id('c3'),
        Names: ['/x'],
        Image: '',
        Command: '',
        Created: 0,
        State: 'created',
        Status: 'Created',
        Labels: null,
      },
    ],
    '/images/json': [
      {
        Id: `sha256:${id(5)}`,
        RepoTags: ['app:1.0', 'app:latest'],
        RepoDigests: [],
        Created: 1600000000,
        Size: 123456789,
        SharedSize: -1,
        Containers: -1,
        Labels: null,
      },
      {
        Id: `sha256:${id(6)}`,
        RepoTags: ['reg.example.com:5000/team/app:v1'],
        RepoDigests: [`reg.example.com:5000/team/app@sha256:${id(7)}`],
        Created: 1500000000,
        Size: 0,
        SharedSize: -1,
        Containers: -1,
        Labels: {a: 'b'},
      },
      {
        Id: `sha256:${id(8)}`,
        RepoTags: null,
        RepoDigests: null,
        Created: 1400000000,
        Size: 1500,
        SharedSize: -1,
        Containers: -1,
      },
    ],
    '/images/app/history': [
      {
        Id: `sha256:${id(5)}`,
        Created: 1600000000,
        CreatedBy: '/bin/sh -c #(nop)  CMD ["app" "--with" "many" "arguments"]',
        Tags: ['app:1.0'],
        Size: 0,
        Comment: '',
      },
      {
        Id: '<missing>',
        Created: 1500000000,
        CreatedBy: 'RUN a\tb && c # buildkit',
        Tags: null,
        Size: 123456,
        Comment: 'buildkit.dockerfile.v0',
      },
      {Id: '<missing>', Created: 0, CreatedBy: '', Tags: null, Size: 1500, Comment: 'Zoë'},
    ],
    '/images/search': [
      {
        name: 'nginx',
        description:
          'Official build of Nginx, a web server with a description that is longer than the column',
        star_count: 19000,
        is_official: true,
        is_automated: false,
      },
      {name: 'bitnami/nginx', description: '', star_count: 200, is_official: false, is_automated: true},
    ],
    [`/containers/${id('a1')}/stats`]: STATS(id('a1'), '/web', 50000),
    [`/containers/${id('b2')}/stats`]: STATS(id('b2'), '/日本', 0),
    [`/containers/${id('c3')}/stats`]: STATS(id('c3'), '/x', 7),
    '/volumes': {
      Volumes: [
        {
          Name: 'data1',
          Driver: 'local',
          Mountpoint: '/var/lib/docker/volumes/data1/_data',
          Labels: {k: 'v'},
          Scope: 'local',
          Options: null,
        },
        {
          Name: 'Ünï',
          Driver: 'a-driver-with-a-long-name',
          Mountpoint: '/x',
          Labels: null,
          Scope: 'global',
          Options: {},
        },
      ],
      Warnings: null,
    },
    '/networks': [
      {
        Name: 'bridge',
        Id: id('d4'),
        Created: '2025-06-21T01:15:29.5+02:00',
        Scope: 'local',
        Driver: 'bridge',
        EnableIPv4: true,
        EnableIPv6: false,
        Internal: false,
        Labels: {},
      },
      {
        Name: 'app',
        Id: id('e5'),
        Created: '2020-01-01T00:00:00Z',
        Scope: 'swarm',
        Driver: 'overlay',
        EnableIPv6: true,
        Internal: true,
        Labels: {tier: '<front>'},
      },
    ],
  }).map(([path, value]) => [path, JSON.stringify(value)]),
);

export const LISTS = {
  container: {args: ['ps', '-a'], path: '/containers/json', labels: c => c.Labels},
  image: {args: ['images', '-a'], path: '/images/json', labels: () => null},
  volume: {args: ['volume', 'ls'], path: '/volumes', labels: v => v.Labels},
  network: {args: ['network', 'ls'], path: '/networks', labels: n => n.Labels},
  history: {args: ['history', 'app'], path: '/images/app/history', labels: () => null},
  search: {args: ['search', 'nginx'], path: '/images/search', labels: () => null},
  stats: {args: ['stats', '--no-stream', '--all'], path: '/containers/json', labels: () => null},
};

const FUNCTIONS = [
  'upper',
  'lower',
  'title',
  'json',
  'len',
  'html',
  'js',
  'urlquery',
  'print',
  'println',
  'not',
];

/** @param {ReturnType<import('./generate.mjs').generator>} random */
export function listTemplate(random, placeholders) {
  const {pick, chance, below} = random;
  const name = () =>
    `.${chance(0.96) ? pick(placeholders) : pick(['Nope', 'FullHeader', 'trunc', 'c', 'v', 'n', 'i', 's'])}`;
  const label = () =>
    `.Label ${pick(['"env"', '"com.example.team"', '"nope"', '"k"', '"tier"', '"zoë-x_y"', '"a"', '1', '.ID', ''])}`;
  const value = () => (chance(0.85) ? name() : label());
  const action = () => {
    const roll = random.next();
    if (roll < 0.6) return value();
    if (roll < 0.7) return `${pick(FUNCTIONS)} ${name()}`;
    if (roll < 0.75) return `${name()} | ${pick(FUNCTIONS)}`;
    if (roll < 0.79) return `truncate ${name()} ${pick(['0', '3', '8', '100'])}`;
    if (roll < 0.83) return `pad ${name()} ${pick(['0', '1', '3'])} ${pick(['0', '2'])}`;
    if (roll < 0.87) return `printf ${random.format()} ${name()} ${name()}`;
    if (roll < 0.9)
      return `join (split ${name()} ${pick(['"/"', '","', '""', '":"'])}) ${pick(['"-"', '", "'])}`;
    if (roll < 0.93) return `slice ${name()} 0 ${pick(['1', '2', '5'])}`;
    if (roll < 0.96) return `eq ${name()} ${pick(['"local"', '"running"', name(), '1', 'true'])}`;
    return random.call(1);
  };
  const separators = [
    '\t',
    '\\t',
    ' ',
    ' ',
    '\\n',
    '\n',
    ': ',
    '',
    '  ',
    '\\',
    '\\\\t',
    '|',
    '\t\t',
    '\v',
    ' \t ',
    '\\r',
    '日本\t',
    '&amp;\t',
    '<b>',
  ];
  const piece = () => {
    const roll = random.next();
    if (roll < 0.82) return `{{${action()}}}`;
    if (roll < 0.88) return `{{if ${action()}}}${`{{${action()}}}`}{{else}}-{{end}}`;
    if (roll < 0.92) return `{{with ${name()}}}{{.}}{{end}}`;
    if (roll < 0.95) return `{{range split ${name()} ","}}{{.}};{{end}}`;
    if (roll < 0.97)
      return pick([
        '{{json .}}',
        '{{printf "%T" .}}',
        '{{$x := .ID}}{{$x}}',
        '{{- ',
        '{{len .ID}}',
        '{{println}}',
      ]);
    return pick(['{{', '}}', '{{end}}', '{{.ID', '{{foo}}', '{{/* c */}}']);
  };
  const body = Array.from({length: 1 + below(4)}, piece).join(pick(separators));
  const prefix = chance(0.5)
    ? pick(['table ', 'table ', 'table ', 'table', 'table  ', 'table\t', ' table ', 'Table ', 'table \\t'])
    : '';
  if (chance(0.05))
    return pick([
      'table',
      'json',
      'raw',
      'table ',
      'json ',
      'raw ',
      'pretty',
      '',
      ' ',
      'tablex',
      'jsonx',
      'rawx',
      'table json',
      'x',
    ]);
  return prefix + body + (chance(0.1) ? pick(['\\n', '\t', ' ', '\n', '\\t']) : '');
}
