/** The commands that ask registries, with an SDK that answers in their place: words, lines and exit codes. */
import test from 'ava';
import {compareVersions} from '../../src/cli/compare-versions.js';
import type {Sdk} from '../../src/cli/sdk.js';
import {CoracleError} from '../../src/errors.js';
import type {PullProgress, PushProgress} from '../../src/index.js';
import {command} from './recording-sdk.js';

const [A, B, D] = ['a', 'b', 'd'].map(letter => `sha256:${letter.repeat(64)}`) as [string, string, string];

function pulling(progress: readonly PullProgress[]): Partial<Sdk> {
  return {
    pullImage: async (_, {onProgress}) => {
      for (const each of progress) onProgress?.(each);
    },
  };
}

const PULL: readonly PullProgress[] = [
  {kind: 'begin', wanted: 'latest', repository: 'x'},
  {kind: 'layer', digest: A, status: 'pulling'},
  {kind: 'layer', digest: B, status: 'pulling'},
  {kind: 'layer', digest: B, status: 'downloading', bytes: 10, totalBytes: 1_000_000},
  {kind: 'layer', digest: A, status: 'downloaded'},
  {kind: 'layer', digest: B, status: 'verifying'},
  {kind: 'layer', digest: B, status: 'downloaded'},
  {kind: 'layer', digest: A, status: 'complete'},
  {kind: 'layer', digest: B, status: 'complete'},
  {kind: 'end', digest: D, name: 'localhost:88/x:latest', isNewer: true},
];

/** What docker 28.2.2 and dockerd 20.10 print into a pipe. */
test('pull tells what docker pull tells, byte for byte', async t => {
  t.deepEqual(
    await command(['pull', 'localhost:88/x'], pulling(PULL)).then(({stdout, stderr}) => ({stdout, stderr})),
    {
      stdout: `Using default tag: latest
latest: Pulling from x
aaaaaaaaaaaa: Pulling fs layer
bbbbbbbbbbbb: Pulling fs layer
aaaaaaaaaaaa: Download complete
bbbbbbbbbbbb: Verifying Checksum
bbbbbbbbbbbb: Download complete
aaaaaaaaaaaa: Pull complete
bbbbbbbbbbbb: Pull complete
Digest: ${D}
Status: Downloaded newer image for localhost:88/x:latest
localhost:88/x:latest
`,
      stderr: '',
    },
  );
});

test('pull -q prints the name alone, -a tells the outcome once', async t => {
  t.is((await command(['pull', '-q', 'localhost:88/x'], pulling(PULL))).stdout, 'localhost:88/x:latest\n');
  const [begin, end] = [PULL[0]!, PULL.at(-1)!];
  const {stdout} = await command(
    ['pull', '-a', 'localhost:88/x'],
    pulling([begin, end, begin, {...end, isNewer: false} as PullProgress]),
  );
  t.is(
    stdout,
    `latest: Pulling from x
Digest: ${D}
latest: Pulling from x
Digest: ${D}
Status: Downloaded newer image for localhost:88/x
localhost:88/x
`,
  );
  t.like(await command(['pull', '-a', 'x:1']), {
    exitCode: 1,
    stderr: "tag can't be used with --all-tags/-a\n",
  });
});

test('on a terminal each layer has a line that is rewritten', async t => {
  const {stdout} = await command(['pull', 'localhost:88/x'], pulling(PULL.slice(0, 4)), {
    isTTY: true,
    columns: 120,
  });
  t.is(
    stdout,
    'Using default tag: latest\nlatest: Pulling from x\n' +
      '\n\u001b[1A\u001b[2K\raaaaaaaaaaaa: Pulling fs layer \r\u001b[1B' +
      '\n\u001b[1A\u001b[2K\rbbbbbbbbbbbb: Pulling fs layer \r\u001b[1B' +
      `\u001b[1A\u001b[2K\rbbbbbbbbbbbb: Downloading [>${' '.repeat(50)}]      10B/1MB\r\u001b[1B` +
      'localhost:88/x:latest\n',
  );
});

test("push tells what docker push tells, and its errors without dockerd's prefix", async t => {
  const progress: readonly PushProgress[] = [
    {kind: 'begin', repository: 'localhost:88/y/z'},
    {kind: 'layer', diffId: A, status: 'preparing'},
    {kind: 'layer', diffId: B, status: 'preparing'},
    {kind: 'layer', diffId: A, status: 'pushing', bytes: 1, totalBytes: 2},
    {kind: 'layer', diffId: A, status: 'pushed'},
    {kind: 'layer', diffId: B, status: 'mounted', from: 'x'},
    {kind: 'layer', diffId: B, status: 'exists'},
    {kind: 'end', tag: 'latest', digest: D, sizeBytes: 739},
  ];
  const answers: Partial<Sdk> = {
    pushImage: async (_, {onProgress}) => {
      for (const each of progress) onProgress?.(each);
    },
  };
  t.is(
    (await command(['push', 'localhost:88/y/z'], answers)).stdout,
    `Using default tag: latest
The push refers to repository [localhost:88/y/z]
aaaaaaaaaaaa: Preparing
bbbbbbbbbbbb: Preparing
aaaaaaaaaaaa: Pushed
bbbbbbbbbbbb: Mounted from x
bbbbbbbbbbbb: Layer already exists
latest: digest: ${D} size: 739
`,
  );
  t.is((await command(['push', '-q', 'localhost:88/y/z'], answers)).stdout, 'localhost:88/y/z:latest\n');
  const refused = await command(['push', 'localhost:88/nope:1'], {
    pushImage: async () => {
      throw new CoracleError(
        'ERR_IMAGE_NOT_FOUND',
        'An image does not exist locally with the tag: localhost:88/nope',
      );
    },
  });
  t.is(refused.exitCode, 1);
  t.is(refused.stderr, 'An image does not exist locally with the tag: localhost:88/nope\n');
});

test('run --pull always pulls first and tells of it on stderr, -q not even that', async t => {
  const create = async () => 'c'.repeat(64);
  const loud = await command(['create', '--pull', 'always', 'localhost:88/x'], {
    create,
    ...pulling([PULL[0]!, PULL.at(-1)!]),
  });
  t.is(loud.stdout, `${'c'.repeat(64)}\n`);
  t.is(
    loud.stderr,
    `latest: Pulling from x\nDigest: ${D}\nStatus: Downloaded newer image for localhost:88/x:latest\n`,
  );
  const quiet = await command(['create', '-q', '--pull', 'always', 'localhost:88/x'], {
    create,
    ...pulling(PULL),
  });
  t.is(quiet.stderr, '');
  t.deepEqual(
    quiet.asked.map(([name]) => name),
    ['pullImage', 'create'],
  );
});

test('create pulls what is missing, for the platform that was asked for, and never an id', async t => {
  let there = false;
  const create: Sdk['create'] = async () => {
    if (there) return 'c'.repeat(64);
    throw new CoracleError('ERR_IMAGE_NOT_FOUND', 'No such image: x:latest');
  };
  const pullImage: Sdk['pullImage'] = async (_, {platform}) => {
    there = platform === 'linux/arm64';
  };
  const made = await command(['create', '--platform', 'linux/arm64', 'x'], {create, pullImage});
  t.is(made.stderr, "Unable to find image 'x:latest' locally\n");
  t.is(made.exitCode, 0);
  there = false;
  t.like(await command(['create', '--pull', 'never', 'x'], {create}), {exitCode: 1});
  t.like(await command(['create', 'f'.repeat(64)], {create}), {exitCode: 1});
});

test('login warns of what is insecure, and says where a password is kept unencrypted', async t => {
  const login: Sdk['login'] = async (_, {username = ''}) => ({
    username,
    unencryptedIn: '/home/ada/.docker/config.json',
  });
  const {stdout, stderr, asked} = await command(['login', '-u', 'ada', '-p', 'secret', 'localhost:88'], {
    login,
  });
  t.is(stdout, 'Login Succeeded\n');
  t.is(
    stderr,
    `WARNING! Using --password via the CLI is insecure. Use --password-stdin.

WARNING! Your credentials are stored unencrypted in '/home/ada/.docker/config.json'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/

`,
  );
  t.deepEqual(asked, [['login', 'localhost:88', {username: 'ada', password: 'secret'}]]);
});

for (const [argv, message] of [
  [
    ['-u', 'a', '-p', 'b', '--password-stdin'],
    'conflicting options: cannot specify both --password and --password-stdin',
  ],
  [['--password-stdin'], 'the --password-stdin option requires --username to be set'],
  [['-u', 'a'], 'Error: Cannot perform an interactive login from a non TTY device'],
] as const) {
  test(`login ${argv.join(' ')} is refused`, async t => {
    const {exitCode, stderr} = await command(['login', ...argv, 'localhost:88']);
    t.is(exitCode, 1);
    t.regex(stderr, new RegExp(`${message}\n$`));
  });
}

test('login tries the credentials that are stored', async t => {
  const {stdout} = await command(['login', 'localhost:88'], {
    loginOf: async () => ({registry: 'localhost:88', username: 'ada'}),
    login: async () => ({username: 'ada'}),
  });
  t.is(
    stdout,
    "Authenticating with existing credentials... [Username: ada]\n\n Info -> To login with a different account, run 'coracle logout' followed by 'coracle login'\n\n\nLogin Succeeded\n",
  );
});

test('tags are sorted by version or date, and those that fit a pattern printed', async t => {
  const tags = ['1.10', 'latest', '1.9', '2.0-rc.1', '2.0', 'v1.9.1', '1.9-alpine'];
  const answers: Partial<Sdk> = {
    listTags: async () => tags,
    tagDates: async () =>
      new Map([
        ['1.9', '2026-01-02T00:00:00Z'],
        ['2.0', '2026-01-01T00:00:00Z'],
      ]),
  };
  const lines = async (...argv: string[]) =>
    (await command(['tags', ...argv, 'x'], answers)).stdout.trimEnd().split('\n');
  t.deepEqual(await lines(), tags);
  t.deepEqual(await lines('--sort', 'semver'), [
    'latest',
    '1.9-alpine',
    '1.9',
    'v1.9.1',
    '1.10',
    '2.0-rc.1',
    '2.0',
  ]);
  t.deepEqual(await lines('--sort', 'semver', '--filter', '1.*', '--limit', '1'), ['1.10']);
  t.deepEqual((await lines('--sort', 'date')).slice(-2), ['2.0', '1.9']);
  t.is((await command(['tags', '--sort', 'size', 'x'])).exitCode, 125);
});

test('versions are ordered as semver.org orders its own example', t => {
  const ordered = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
  ];
  t.deepEqual(ordered.toReversed().sort(compareVersions), ordered);
});

test("search prints docker's columns and filters", async t => {
  const found = [
    {
      name: 'nginx',
      description: `${'Official build of Nginx. '.repeat(3)}`,
      stars: 100,
      isOfficial: true,
      isAutomated: false,
    },
    {name: 'me/nginx', description: '', stars: 0, isOfficial: false, isAutomated: false},
  ];
  const answers: Partial<Sdk> = {searchImages: async () => found};
  t.is(
    (await command(['search', 'nginx'], answers)).stdout,
    `NAME       DESCRIPTION                                     STARS     OFFICIAL
nginx      Official build of Nginx. Official build of N…   100       [OK]
me/nginx                                                   0         \n`,
  );
  t.is(
    (await command(['search', '--filter', 'stars=1', '--format', '{{.Name}}', 'nginx'], answers)).stdout,
    'nginx\n',
  );
});

test('manifest inspect prints the document indented, with -v its digest too', async t => {
  const answers: Partial<Sdk> = {
    readManifest: async () => ({digest: D, bytes: Buffer.from('{"schemaVersion":2}')}),
  };
  t.is((await command(['manifest', 'inspect', 'x'], answers)).stdout, '{\n\t"schemaVersion": 2\n}\n');
  t.regex(
    (await command(['manifest', 'inspect', '-v', 'x'], answers)).stdout,
    new RegExp(`"Digest": "${D}"`),
  );
});
