// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a Dockerfile writes variables like that
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {type BuildOptions, Image} from '../../src/index.js';
import {buildFolder, buildsIn, counter} from '../helpers/builds.js';
import {compileC} from '../helpers/compile-c.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

const {build, outputOf, inside} = buildsIn(own);

const TICKER = {
  'ticker.sh': `#!/bin/bash
[ -n "$TICK_SECONDS" ] || { echo "TICK_SECONDS is not set"; exit 1; }
echo "$1 every $TICK_SECONDS"
`,
  Dockerfile: `FROM host-shell
MAINTAINER Coracle tests
COPY ticker.sh /entrypoint.sh
RUN chmod +x /entrypoint.sh
ENV TICK_SECONDS 2
ENTRYPOINT ["/entrypoint.sh"]
CMD ["tick"]
`,
};

asRoot(
  'an image is built as its Dockerfile says: entrypoint, argument and variable may be others',
  async t => {
    const image = await build(t, TICKER, {tags: ['ticker', 'ticker:2']});
    t.deepEqual(image.references.toSorted(), ['ticker:2', 'ticker:latest']);
    t.is(image.inspect()['Author'], 'Coracle tests');
    t.is(await outputOf(image), 'tick every 2\n');
    t.is(await outputOf(image, {command: ['two words']}), 'two words every 2\n');
    t.is(await outputOf(image, {env: {TICK_SECONDS: '1'}}), 'tick every 1\n');
    t.is(await outputOf(image, {env: {TICK_SECONDS: ''}}), 'TICK_SECONDS is not set\n');
    t.is(await outputOf(image, {entrypoint: ['echo'], command: ['else']}), 'else\n');
  },
);

asRoot('without an entrypoint an argument replaces all of CMD', async t => {
  const image = await build(t, {Dockerfile: 'FROM host-shell\nCMD ["echo", "one", "two"]\n'});
  t.is(await outputOf(image), 'one two\n');
  t.is(await outputOf(image, {command: ['echo', 'else']}), 'else\n');
});

asRoot('CMD goes through a shell unless it is a JSON array', async t => {
  const config = async (cmd: string) =>
    (await build(t, {Dockerfile: `FROM host-shell\nCMD ${cmd}\n`})).inspect()['Config'] as {Cmd: unknown};
  t.deepEqual((await config('ps -aux')).Cmd, ['/bin/sh', '-c', 'ps -aux']);
  t.deepEqual((await config('["ps","-aux"]')).Cmd, ['ps', '-aux']);
});

asRoot('what did not change is not done again, and the image is the same one', async t => {
  // Not what another test builds at the same time.
  const folder = buildFolder(t, {...TICKER, 'ticker.sh': '#!/bin/bash\necho again\n'});
  const runtime = await own.runtime;
  const again = async (options: BuildOptions = {}) => {
    const {counted, onProgress} = counter();
    const image = await Image.build(folder, {network: 'none', onProgress, ...options}, {runtime});
    return {id: image.id, ...counted};
  };
  const first = await again();
  t.deepEqual(await again(), {...first, cached: 6});
  writeFileSync(join(folder, 'ticker.sh'), '#!/bin/bash\necho changed\n');
  const changed = await again();
  t.is(changed.cached, 1, 'the MAINTAINER before the COPY');
  t.not(changed.id, first.id);
  t.is((await again({noCache: true})).cached, 0);
});

asRoot('an image that others were built from stays until they are gone', async t => {
  const runtime = await own.runtime;
  const base = await build(t, {Dockerfile: 'FROM host-shell\nENV base=1\n'}, {tags: ['base:1']});
  const lines = 'FROM base:1 AS first\nENV a=1\nFROM first\nENV b=1\n';
  const made = await build(t, {Dockerfile: lines}, {tags: ['made:1']});
  t.is(made.parent, base.id);
  t.is(made.inspect()['Parent'], base.id);
  t.deepEqual(
    made
      .history()
      .slice(0, 3)
      .map(({id}) => id),
    [made.id, undefined, base.id],
  );
  for (const force of [false, true]) {
    await t.throwsAsync(Image.remove(base.id, {force}, {runtime}), {
      code: 'ERR_IMAGE_IN_USE',
      message: /\(cannot be forced\) - image has dependent child images$/,
    });
  }
  t.deepEqual((await Image.remove('base:1', {}, {runtime})).deleted, []);
  const {deleted} = await Image.remove('made:1', {}, {runtime});
  t.deepEqual([deleted[0], deleted.some(each => each === base.id)], [made.id, true]);
});

asRoot('a layer is told of once, with the last image that goes and has it', async t => {
  const runtime = await own.runtime;
  const base = await Image.fromHost({name: 'base:2', binaries: ['true']}, {runtime});
  const made = await build(t, {Dockerfile: 'FROM base:2\nENV a=1\n'}, {tags: ['made:2']});
  await Image.remove('base:2', {}, {runtime});
  const {deleted} = await Image.remove('made:2', {}, {runtime});
  t.deepEqual(deleted.slice(0, 2), [made.id, base.id]);
  t.is(deleted.length, 3);
});

asRoot('times and owners of files in the context do not count, names and modes do', async t => {
  const files = {Dockerfile: 'FROM host-shell\nCOPY data /data\n', 'data/a': '1'};
  const cachedAfter = async (change: (folder: string) => Promise<void> | void) => {
    const folder = buildFolder(t, files);
    const runtime = await own.runtime;
    await Image.build(folder, {}, {runtime});
    await change(folder);
    const {counted, onProgress} = counter();
    await Image.build(folder, {onProgress}, {runtime});
    return counted.cached;
  };
  const {chmodSync, chownSync, renameSync, utimesSync} = await import('node:fs');
  t.is(await cachedAfter(folder => utimesSync(join(folder, 'data/a'), 1, 1)), 1);
  t.is(await cachedAfter(folder => chownSync(join(folder, 'data/a'), 1, 1)), 1);
  t.is(await cachedAfter(folder => chmodSync(join(folder, 'data/a'), 0o600)), 0);
  t.is(await cachedAfter(folder => renameSync(join(folder, 'data/a'), join(folder, 'data/b'))), 0);
});

asRoot('LABEL, WORKDIR, VOLUME, EXPOSE and their like are what inspect tells', async t => {
  const image = await build(
    t,
    {
      Dockerfile: `FROM host-shell
LABEL a=1 b="two words"
WORKDIR /x
WORKDIR y
RUN pwd >/where
VOLUME /data /Also
EXPOSE 80 53/udp
USER 7:8
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=3s CMD true
`,
    },
    {labels: {c: '3'}},
  );
  const config = image.inspect()['Config'] as Readonly<Record<string, unknown>>;
  t.deepEqual(config['Labels'], {a: '1', b: 'two words', c: '3'});
  t.is(config['WorkingDir'], '/x/y');
  t.is(JSON.stringify(config['Volumes']), '{"/Also":{},"/data":{}}', 'sorted as Go sorts');
  t.is(JSON.stringify(config['ExposedPorts']), '{"53/udp":{},"80/tcp":{}}');
  t.like(config, {User: '7:8', StopSignal: 'SIGUSR1'});
  t.deepEqual(config['Healthcheck'], {Test: ['CMD-SHELL', 'true'], Interval: 3e9});
  t.is(await inside(image, 'cat /where'), '/x/y\n');
});

asRoot('hello-world from scratch has nothing but its program', async t => {
  const folder = buildFolder(t, {Dockerfile: 'FROM scratch\nCOPY hello /\nCMD ["/hello"]\n'});
  compileC(folder, 'hello', '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n', '-static');
  const image = await Image.build(folder, {}, {runtime: await own.runtime});
  t.is(await outputOf(image), 'hello\n');
  t.is((image.inspect()['RootFS'] as {Layers: unknown[]}).Layers.length, 1);
});

asRoot('an application comes with the modules that are copied in, and listens where it says', async t => {
  const image = await build(t, {
    Dockerfile: `FROM host-shell
WORKDIR /app
COPY requirements.txt .
RUN mkdir lib && while read name; do echo "say() { echo $name: $1; }" >lib/$name.sh; done <requirements.txt
COPY . .
ENV PORT=8080
EXPOSE $PORT
CMD . lib/web.sh && say "$PORT $(cat app.txt)"
`,
    'requirements.txt': 'web\n',
    'app.txt': 'ready',
    '.dockerignore': 'secret.txt',
    'secret.txt': 'no',
  });
  t.regex(await inside(image, 'ls /app'), /^Dockerfile\napp.txt\nlib\nrequirements.txt\n$/);
  t.deepEqual((image.inspect()['Config'] as {ExposedPorts: unknown}).ExposedPorts, {'8080/tcp': {}});
});

asRoot('the image that a stage ends with is built, from only those stages that it needs', async t => {
  const files = {
    Dockerfile: `ARG BASE=host-shell
FROM $BASE AS first
RUN echo one >/one
FROM $BASE AS never
RUN exit 9
FROM first AS second
RUN echo two >>/one
FROM scratch
COPY --from=second /one /a/
COPY --from=0 /one /b
`,
  };
  const image = await build(t, files);
  t.is((image.inspect()['RootFS'] as {Layers: unknown[]}).Layers.length, 2);
  const second = await build(t, files, {target: 'second'});
  t.is(await inside(second, 'cat /one'), 'one\ntwo\n');
  await t.throwsAsync(build(t, files, {target: 'never'}), {code: 'ERR_BUILD_FAILED'});
  await t.throwsAsync(build(t, files, {target: 'other'}), {
    code: 'ERR_BUILD_TARGET',
    message: 'target stage "other" could not be found',
  });
});

asRoot('stages that do not need each other are built at the same time', async t => {
  // Each waits for the other: one after the other they would wait for ever.
  const meet = (mine: string, other: string) =>
    `RUN --mount=type=cache,id=meeting,target=/m touch /m/${mine}; until [ -e /m/${other} ]; do sleep 0.05; done`;
  const image = await build(t, {
    Dockerfile: `FROM host-shell AS a
${meet('a', 'b')}
RUN echo a >/a
FROM host-shell AS b
${meet('b', 'a')}
RUN echo b >/b
FROM host-shell
COPY --from=a /a /
COPY --from=b /b /
`,
  });
  t.is(await inside(image, 'cat /a /b'), 'a\nb\n');
});

asRoot('heredocs are scripts for a shell or for the program they name, and files', async t => {
  const image = await build(t, {
    Dockerfile: `FROM host-shell
ARG WHO=world
RUN <<EOF
echo "hello $WHO" >/one
echo more >>/one
EOF
RUN <<EOF
#!/bin/cat
as it is
EOF
RUN cat >/two <<A && cat >>/two <<"B"
first $WHO
A
second $WHO
B
COPY <<one <<-"two" /d/
hello $WHO
one
	tabs $WHO
	two
`,
  });
  t.is(
    await inside(image, 'cat /one /two /d/one /d/two'),
    'hello world\nmore\nfirst world\nsecond $WHO\nhello world\ntabs $WHO\n',
  );
});

asRoot('an ARG has the value that is given, its default, or that of one before the first FROM', async t => {
  const Dockerfile = `ARG outer=1
FROM host-shell
ARG outer
ARG inner=2
ARG none
ENV shown=$inner
ARG shown=never
RUN echo "$outer $inner \${none:-unset} $shown $HTTP_PROXY" >/out
`;
  const image = await build(t, {Dockerfile});
  t.is(await inside(image, 'cat /out'), '1 2 unset 2 \n');
  const buildArgs = {outer: 'o', inner: 'i', HTTP_PROXY: 'http://proxy.test', unknown: 'x'};
  const warnings: string[] = [];
  const given = await build(
    t,
    {Dockerfile},
    {
      buildArgs,
      onProgress: event => void (event.type === 'warning' && warnings.push(event.message)),
    },
  );
  t.is(await inside(given, 'cat /out'), 'o i unset i http://proxy.test\n');
  t.deepEqual(warnings, ['[Warning] One or more build-args [unknown] were not consumed']);
});

asRoot(
  'the proxies of a build are neither in the image nor in what decides whether a step is done again',
  async t => {
    const files = {Dockerfile: 'FROM host-shell\nRUN echo done >/proxied\n'};
    const first = await build(t, files, {buildArgs: {https_proxy: 'http://user:password@proxy.test'}});
    const again = await build(t, files, {buildArgs: {https_proxy: 'http://other.test'}});
    t.is(first.id, again.id);
    t.notRegex(JSON.stringify(first.inspect()), /password/);
  },
);

asRoot('a RUN finds the directories of the volumes before it, and what it writes there stays', async t => {
  const image = await build(t, {
    Dockerfile: `FROM host-shell
RUN mkdir -m 751 /with && ln -s /with /link
VOLUME /data relative /link/in/it
RUN echo hi >/data/f && ls -d /relative /with/in/it >/seen && rmdir /relative && touch /with/out
RUN ls -d /relative >>/seen
`,
  });
  t.is(await inside(image, 'cat /seen; stat -c %a /with'), '/relative\n/with/in/it\n/relative\n751\n');
  const {layers} = (await own.runtime).store.getImage(image.id);
  t.is(readFileSync(join(layers.at(-2)!, 'data/f'), 'utf8'), 'hi\n');
});

asRoot('ONBUILD is carried out by the build of an image on top, and only there', async t => {
  const base = await build(
    t,
    {Dockerfile: 'FROM host-shell\nONBUILD COPY app /app\nONBUILD RUN echo $(cat /app) >/ran\n'},
    {tags: ['with-triggers']},
  );
  t.is(await inside(base, 'ls /app /ran 2>&1 | grep -c "No such"'), '2\n');
  const image = await build(t, {Dockerfile: 'FROM with-triggers\n', app: 'mine'});
  t.is(await inside(image, 'cat /ran'), 'mine\n');
  t.falsy((image.inspect()['Config'] as {OnBuild?: unknown}).OnBuild);
});

asRoot('ARGs before the first FROM are told as steps, unused arguments and each tag once', async t => {
  const told: string[] = [];
  await build(
    t,
    {Dockerfile: 'ARG shell=host-shell\nFROM $shell AS unused\nRUN false\nFROM $shell\nLABEL x=1\n'},
    {
      tags: ['told', 'told:latest'],
      buildArgs: {some: '1', other: '2'},
      onProgress: event => {
        if (event.type === 'step') told.push(`${event.step}/${event.steps} ${event.instruction}`);
        if (event.type === 'warning') told.push(event.message);
        if (event.type === 'tagged') told.push(event.reference);
      },
    },
  );
  t.deepEqual(told, [
    '1/3 ARG shell=host-shell',
    '2/3 FROM $shell',
    '3/3 LABEL x=1',
    '[Warning] One or more build-args [other some] were not consumed',
    'told:latest',
  ]);
});

asRoot('a FROM whose image is not to be had is told before it fails', async t => {
  const told: string[] = [];
  const onProgress: BuildOptions['onProgress'] = event => {
    if (event.type === 'step') told.push(event.instruction);
  };
  await t.throwsAsync(build(t, {Dockerfile: 'FROM 127.0.0.1:1/none\nRUN true\n'}, {onProgress}));
  t.deepEqual(told, ['FROM 127.0.0.1:1/none']);
});

asRoot('FROM alone is the image that it names, with one more name', async t => {
  const image = await build(t, {Dockerfile: 'FROM host-shell AS one\nFROM one\n'}, {tags: ['same:1']});
  const named = (await own.runtime).store.getImage('host-shell');
  t.is(image.id, named.id);
  t.true(image.references.includes('same:1'));
});

asRoot('FROM scratch alone makes no image', async t => {
  await t.throwsAsync(build(t, {Dockerfile: 'FROM scratch AS nothing\nFROM nothing\n'}), {
    code: 'ERR_BUILD_FAILED',
    message: 'No image was generated. Is your Dockerfile empty?',
  });
  const image = await build(t, {Dockerfile: 'FROM scratch\n'}, {labels: {a: '1'}});
  t.deepEqual(image.labels, {a: '1'});
});

asRoot('what was done before a failure is not done again', async t => {
  const folder = buildFolder(t, {Dockerfile: 'FROM host-shell\nRUN date +%N >/when\nRUN exit 1\n'});
  const runtime = await own.runtime;
  await t.throwsAsync(Image.build(folder, {network: 'none'}, {runtime}), {code: 'ERR_BUILD_FAILED'});
  writeFileSync(join(folder, 'Dockerfile'), 'FROM host-shell\nRUN date +%N >/when\nRUN exit 0\n');
  const {counted, onProgress} = counter();
  await Image.build(folder, {network: 'none', onProgress}, {runtime});
  t.is(counted.cached, 1);
});

asRoot('an option that does not exist is refused before anything happens', async t => {
  await t.throwsAsync(build(t, {}, {tagz: []} as BuildOptions), {
    code: 'ERR_INVALID_OPTION',
    message: 'there is no build option "tagz"',
  });
  const runtime = await own.runtime;
  for (const {context, dockerfile, message} of [
    {context: '/proc/version/x', message: /^unable to prepare context: path "\/proc\/version\/x" not found$/},
    {
      context: '/proc',
      dockerfile: 'version/x',
      message: /lstat \/proc\/version\/x: no such file or directory$/,
    },
  ])
    await t.throwsAsync(Image.build(context, {...(dockerfile && {dockerfile})}, {runtime}), {
      code: 'ERR_BUILD_CONTEXT',
      message,
    });
  await t.throwsAsync(build(t, {Dockerfile: 'FROM host-shell'}, {tags: ['Upper']}), {
    code: 'ERR_INVALID_REFERENCE',
  });
  await t.throwsAsync(build(t, {Dockerfile: 'FROM host-shell'}, {tags: [`a@sha256:${'0'.repeat(64)}`]}), {
    code: 'ERR_INVALID_REFERENCE',
    message: 'build tag cannot contain a digest',
  });
  await t.throwsAsync(build(t, {Dockerfile: 'FROM host-shell'}, {tags: ['sha256:1']}), {
    code: 'ERR_INVALID_REFERENCE',
    message: /ambiguous tag/,
  });
});

test('what cannot be done is refused with what to do instead', async t => {
  const refuses = async (line: string, message: RegExp) => {
    const error = await t.throwsAsync(build(t, {Dockerfile: `FROM scratch\n${line}\n`}), {
      code: 'ERR_UNSUPPORTED_OPTION',
      message,
    });
    t.truthy((error as {hint?: string}).hint);
  };
  await refuses('RUN --mount=type=ssh x', /type=ssh/);
  await refuses('RUN --security=insecure x', /security=insecure/);
  await refuses('ADD https://example.test/a.git /x', /Git/);
  await t.throwsAsync(Image.build('git@example.test:a/b', {}, {runtime: await own.runtime}), {
    code: 'ERR_UNSUPPORTED_OPTION',
  });
});
