import {chmodSync, linkSync, symlinkSync, utimesSync} from 'node:fs';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {gzipSync} from 'node:zlib';
import test from 'ava';
import {listXattrsBelow, openDirectory, setXattrBelow} from '../../src/binding/index.js';
import {type BuildContext, Image} from '../../src/index.js';
import {TAR_END, type TarNode, tarHeader, tarPadding} from '../../src/store/write-tar.js';
import {buildFolder, buildsIn, counter} from '../helpers/builds.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const {build, inside} = buildsIn(own);

/** Path, permissions, owner, size; sorted. */
const LIST = "find /o ! -type d -exec stat -c '%n %a %u:%g' {} + | sort";

function tarOf(entries: readonly (Omit<TarNode, 'type' | 'size'> & {readonly content: string})[]): Buffer {
  const parts = entries.flatMap(({content, ...node}) => {
    const bytes = Buffer.from(content);
    return [tarHeader({...node, type: 'file', size: bytes.length}), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

asRoot(
  'COPY takes the contents of a directory, follows a symlink it is given, and copies others as they are',
  async t => {
    const folder = buildFolder(t, {
      'd/a': 'a',
      'd/sub/b': 'b',
      Dockerfile: 'FROM host-shell\nCOPY d /o/1\nCOPY d/ /o/2/\nCOPY to-a /o/3\nCOPY to-a d/sub/b /o/4/\n',
    });
    chmodSync(join(folder, 'd/a'), 0o4711);
    linkSync(join(folder, 'd/a'), join(folder, 'd/same'));
    symlinkSync('a', join(folder, 'd/link'));
    symlinkSync('d/a', join(folder, 'to-a'));
    utimesSync(join(folder, 'd/sub/b'), 1, 1);
    const image = await Image.build(folder, {}, {runtime: await own.runtime});
    t.is(
      await inside(image, LIST),
      `/o/1/a 4711 0:0
/o/1/link 777 0:0
/o/1/same 4711 0:0
/o/1/sub/b 644 0:0
/o/2/a 4711 0:0
/o/2/link 777 0:0
/o/2/same 4711 0:0
/o/2/sub/b 644 0:0
/o/3 4711 0:0
/o/4/b 644 0:0
/o/4/to-a 4711 0:0
`,
    );
    t.is(
      await inside(image, 'readlink /o/1/link; stat -c %Y /o/1/sub/b; [ /o/1/a -ef /o/1/same ] && echo one'),
      'a\n1\none\n',
    );
  },
);

asRoot('COPY goes through symlinks of the image, inside it, and replaces what is in its way', async t => {
  const image = await build(t, {
    'd/x/y': 'new',
    f: 'file',
    Dockerfile: `FROM host-shell
RUN mkdir -p /real /o && ln -s /real /o/in && ln -s /../../real /o/far && echo old >/o/x && chmod 750 /real
COPY f /o/in/
COPY f /o/far/g
COPY d /o
`,
  });
  t.is(
    await inside(image, 'ls /real; stat -c %a /real; cat /o/x/y; readlink /o/in'),
    'f\ng\n750\nnew/real\n',
  );
});

asRoot('a directory that was replaced by a file shows nothing of its own when it is one again', async t => {
  const image = await build(t, {
    f: 'file',
    'd/new': 'new',
    Dockerfile:
      'FROM host-shell\nRUN mkdir -p /o/x && touch /o/x/old\nCOPY d f /o/2/\nCOPY --chown=3:4 d /o/x\nCOPY f /o/3\n',
  });
  t.is(await inside(image, 'ls /o/x'), 'new\nold\n');
});

asRoot('--chown, --chmod and --exclude say what is different', async t => {
  const image = await build(t, {
    'd/a.txt': '',
    'd/b.log': '',
    Dockerfile: `FROM host-shell
RUN mkdir -p /etc && echo 'app:x:12:13::/:' >/etc/passwd && echo 'app:x:14:' >/etc/group
COPY --chown=app d/a.txt /o/1
COPY --chown=app:9 --chmod=640 --exclude=*.log d /o/2
COPY --parents d/a.txt /o/3/
`,
  });
  t.is(await inside(image, LIST), '/o/1 644 12:14\n/o/2/a.txt 640 12:9\n/o/3/d/a.txt 644 0:0\n');
  await t.throwsAsync(build(t, {f: '', Dockerfile: 'FROM scratch\nCOPY --chown=nobody f /\n'}), {
    code: 'ERR_USER_UNKNOWN',
    message: /can't find uid for user nobody/,
  });
  await t.throwsAsync(build(t, {f: '', Dockerfile: 'FROM scratch\nCOPY --chown=1:2:3 f /\n'}), {
    code: 'ERR_INVALID_OPTION',
    message: 'unable to convert uid/gid chown string to host mapping: invalid chown string format: 1:2:3',
  });
});

asRoot('a flag whose variable has no value says nothing', async t => {
  const image = await build(t, {
    f: '',
    Dockerfile: `FROM host-shell
ARG NONE
COPY --chown=$NONE --chmod=$NONE --from= f /o/1
ADD --chown=$NONE f /o/2
RUN --mount=type=bind,from=$NONE,target=/context cp /context/f /o/3
`,
  });
  t.is(await inside(image, LIST), '/o/1 644 0:0\n/o/2 644 0:0\n/o/3 644 0:0\n');
});

asRoot('--chown leaves alone what an archive says, and what is above a directory', async t => {
  const image = await build(t, {
    'd/a': '',
    f: '',
    'a.tar': tarOf([{path: 'in/one', uid: 5, gid: 6, mode: 0o600, content: '1'}]),
    Dockerfile: `FROM host-shell
COPY --chown=12:13 d /o/1/2/
COPY --chown=12:13 f /o/3/4/
ADD --chown=12:13 a.tar /o/5
`,
  });
  t.is(
    await inside(image, "find /o | sort | xargs stat -c '%n %u:%g'"),
    `/o 0:0
/o/1 0:0
/o/1/2 12:13
/o/1/2/a 12:13
/o/3 12:13
/o/3/4 12:13
/o/3/4/f 12:13
/o/5 0:0
/o/5/in 0:0
/o/5/in/one 5:6
`,
  );
});

asRoot(
  'extended attributes of files in the context stay out, those of archives and images do not',
  async t => {
    // vfs_cap_data of revision 2: CAP_NET_RAW, permitted and effective.
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const xattrs = new Map([['security.capability', capability]]);
    const folder = buildFolder(t, {
      'd/f': '',
      'a.tar': tarOf([{path: 'f', xattrs, content: ''}]),
      Dockerfile: `FROM host-shell AS one
COPY d d/f /context/
ADD a.tar /archive
FROM scratch
COPY --from=one /context /o
COPY --from=one /archive/f /archived
COPY --from=one /context/f /from-context
`,
    });
    using context = openDirectory(folder);
    setXattrBelow(context.fd, Buffer.from('d'), 'user.of-a-directory', Buffer.from('1'));
    setXattrBelow(context.fd, Buffer.from('d/f'), 'security.capability', capability);
    const runtime = await own.runtime;
    const image = await Image.build(folder, {}, {runtime});
    const [copied, archived, fromContext] = runtime.store.getImage(image.id).layers;
    const attributesOf = (layer: string, path: string) => {
      using directory = openDirectory(layer);
      return listXattrsBelow(directory.fd, Buffer.from(path)).filter(name => !name.startsWith('trusted.'));
    };
    t.deepEqual(attributesOf(copied!, 'o'), []);
    t.deepEqual(attributesOf(archived!, 'archived'), ['security.capability']);
    t.deepEqual(attributesOf(fromContext!, 'from-context'), []);
  },
);

asRoot('one file of two names is two files when it is copied twice, one when it is copied once', async t => {
  const folder = buildFolder(t, {
    'd/a': '',
    Dockerfile: 'FROM host-shell\nCOPY d/a d/b /o/1/\nCOPY d /o/2\n',
  });
  linkSync(join(folder, 'd/a'), join(folder, 'd/b'));
  const image = await Image.build(folder, {}, {runtime: await own.runtime});
  t.is(await inside(image, 'stat -c %h /o/*/*'), '1\n1\n2\n2\n');
});

asRoot('what .dockerignore names is not there, unless it is named again', async t => {
  const image = await build(t, {
    'a/1': '',
    'a/b/2': '',
    'a/b/c/3': '',
    'top.log': '',
    'keep.log': '',
    'docs/x.md': '',
    '.dockerignore': '# rules\n*.log\n!keep.log\na/b\n!a/b/c\n**/x.md\n.dockerignore\nDockerfile\n',
    Dockerfile: 'FROM host-shell\nCOPY . /o\n',
  });
  t.is(await inside(image, 'cd /o && find . -type f | sort'), './a/1\n./a/b/c/3\n./keep.log\n');
});

asRoot('a Dockerfile of another name has its own ignore file', async t => {
  const files = {
    a: '',
    b: '',
    '.dockerignore': 'a',
    'other.Dockerfile': 'FROM host-shell\nCOPY a /o/\n',
    'other.Dockerfile.dockerignore': 'b',
  };
  const image = await build(t, files, {dockerfile: 'other.Dockerfile'});
  t.is(await inside(image, 'ls /o'), 'a\n');
});

test('what is not in the context, or leads out of it, is not copied', async t => {
  const folder = buildFolder(t, {f: ''});
  symlinkSync('/etc/passwd', join(folder, 'absolute'));
  symlinkSync('../../../../etc/passwd', join(folder, 'relative'));
  const refuses = async (line: string, message: string) => {
    const runtime = await own.runtime;
    const dockerfile = {text: `FROM scratch\n${line}\n`};
    await t.throwsAsync(Image.build(folder, {dockerfile}, {runtime}), {code: 'ERR_BUILD_SOURCE', message});
  };
  const missing = (path: string) =>
    `COPY failed: file not found in build context or excluded by .dockerignore: stat ${path}: file does not exist`;
  await refuses('COPY nothing /', missing('nothing'));
  await refuses('COPY absolute /', missing('absolute'));
  await refuses('COPY relative /', missing('relative'));
  await refuses('COPY ../f /', 'COPY failed: forbidden path outside the build context: ../f ()');
  await refuses('COPY *.none /', 'COPY failed: no source files were specified');
  await refuses(
    'COPY f f /x',
    'When using COPY with more than one source file, the destination must be a directory and end with a /',
  );
});

asRoot('COPY --from=NUMBER is a stage before, never an image', async t => {
  const refuses = async (Dockerfile: string, message: string) =>
    t.throwsAsync(build(t, {Dockerfile}), {code: 'ERR_BUILD_SOURCE', message});
  await refuses(
    'FROM host-shell\nCOPY --from=1 /bin/sh /o\n',
    'invalid from flag value 1: index out of bounds',
  );
  await refuses(
    'FROM host-shell\nCOPY --from=0 /bin/sh /o\n',
    'invalid from flag value 0: refers to current build stage',
  );
  const image = await build(t, {
    Dockerfile: 'FROM host-shell AS other\nRUN echo other >/o\nFROM host-shell\nCOPY --from=+0 /o /o\n',
  });
  t.is(await inside(image, 'cat /o'), 'other\n');
});

asRoot('ADD unpacks archives, with the owners that they name, and nothing else', async t => {
  const tar = tarOf([{path: 'in/one', uid: 5, gid: 6, mode: 0o600, content: '1'}]);
  const image = await build(t, {
    'plain.tar': tar,
    'zipped.tgz': gzipSync(tar),
    'text.gz': gzipSync('only text'),
    Dockerfile: `FROM host-shell
ADD plain.tar /o/1
ADD zipped.tgz /o/2/
ADD text.gz /o/3/
COPY plain.tar /o/4/
ADD --unpack=false plain.tar /o/5
`,
  });
  t.is(
    await inside(image, LIST),
    '/o/1/in/one 600 5:6\n/o/2/in/one 600 5:6\n/o/3/text.gz 644 0:0\n/o/4/plain.tar 644 0:0\n/o/5 644 0:0\n',
  );
  const xz = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0]);
  await t.throwsAsync(build(t, {'a.xz': xz, Dockerfile: 'FROM scratch\nADD a.xz /\n'}), {
    code: 'ERR_UNSUPPORTED_COMPRESSION',
  });
});

asRoot('contexts come as archives too, as a Dockerfile alone, and by http', async t => {
  const runtime = await own.runtime;
  const dockerfile = 'FROM host-shell\nCOPY f /o/\n';
  const tar = tarOf([
    {path: 'Dockerfile', content: dockerfile},
    {path: 'other/Dockerfile', content: 'FROM host-shell\nCOPY f /o/g\n'},
    {path: 'f', content: 'content'},
    {path: 'secret', content: ''},
    {path: '.dockerignore', content: 'secret'},
  ]);
  const server = createServer((request, response) => {
    response.setHeader('last-modified', 'Sat, 03 Feb 2001 04:05:06 GMT');
    if (request.url === '/context.tgz') response.end(gzipSync(tar));
    else if (request.url === '/Dockerfile')
      response.end('FROM host-shell\nRUN mkdir /o && echo alone >/o/f\n');
    else response.writeHead(404).end();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const at = `http://user:pass@127.0.0.1:${(server.address() as AddressInfo).port}`;
  const textOf = async (context: BuildContext, options = {}) =>
    inside(await Image.build(context, {network: 'none', ...options}, {runtime}), 'cat /o/*');
  t.is(await textOf(Readable.from([tar])), 'content');
  t.is(await textOf(Readable.from([gzipSync(tar)]), {dockerfile: 'other/Dockerfile'}), 'content');
  t.is(
    await textOf(
      Readable.from(['FROM host-shell\n', 'RUN mkdir /o && echo text >/o/f\n'].map(s => Buffer.from(s))),
    ),
    'text\n',
  );
  t.is(
    await textOf(null, {dockerfile: {text: 'FROM host-shell\nRUN mkdir /o && echo none >/o/f\n'}}),
    'none\n',
  );
  t.is(await textOf(`${at}/context.tgz`), 'content');
  t.is(await textOf(`${at}/Dockerfile`), 'alone\n');
  const error = await t.throwsAsync(textOf(`${at}/missing`), {
    code: 'ERR_DOWNLOAD_FAILED',
    message: /answered 404/,
  });
  t.notRegex(error?.message ?? '', /pass/);
  const digest = (await import('node:crypto')).createHash('sha256').update(gzipSync(tar)).digest('hex');
  const add = (flags: string) => ({
    dockerfile: {text: `FROM host-shell\nADD ${flags} ${at}/context.tgz /o/\n`},
  });
  const added = await Image.build(null, add(`--checksum=sha256:${digest}`), {runtime});
  t.is(await inside(added, "stat -c '%n %a %Y' /o/*"), '/o/context.tgz 600 981173106\n');
  await t.throwsAsync(Image.build(null, add(`--checksum=sha256:${'0'.repeat(64)}`), {runtime}), {
    code: 'ERR_DIGEST_MISMATCH',
  });
});

asRoot('a secret is where it was asked for while the command runs, and nowhere else', async t => {
  const runtime = await own.runtime;
  const events: string[] = [];
  const files = {
    secret: 'hidden-words',
    '.dockerignore': 'secret',
    Dockerfile: `FROM host-shell
RUN --mount=type=secret,id=one [ $(wc -c </run/secrets/one) = 12 ] && stat -c %a /run/secrets/one >/mode
RUN --mount=type=secret,id=two,env=TWO [ \${#TWO} = 11 ]
RUN --mount=type=secret,id=three,target=/etc/three,uid=3,mode=0444 stat -c '%u %a' /etc/three >/owner
RUN [ ! -e /run/secrets ] && [ ! -e /etc/three ]
`,
  };
  const folder = buildFolder(t, files);
  const image = await Image.build(
    folder,
    {
      network: 'none',
      secrets: {one: {path: join(folder, 'secret')}, two: {value: 'other-words'}, three: {value: 'x'}},
      onProgress: event => events.push(JSON.stringify(event)),
    },
    {runtime},
  );
  t.is(await inside(image, 'cat /mode /owner'), '400\n3 444\n');
  t.notRegex(events.join('\n') + JSON.stringify(image.inspect()), /hidden-words|other-words/);
  const {execFileSync} = await import('node:child_process');
  const found = t.throws(() => execFileSync('grep', ['-rlE', 'hidden-words|other-words', own.folder]));
  t.is((found as {status?: number}).status, 1, 'grep finds nothing');
  await t.throwsAsync(
    build(t, {Dockerfile: 'FROM host-shell\nRUN --mount=type=secret,id=none,required=true true\n'}),
    {code: 'ERR_BUILD_SECRET', message: 'secret none: not found'},
  );
});

asRoot(
  'a cache stays between builds, a tmpfs does not, a bind shows other files and keeps nothing',
  async t => {
    const Dockerfile = (more: string) => `FROM host-shell AS other
RUN echo from-other >/file
FROM host-shell
RUN --mount=type=cache,target=/cache echo ${more} >>/cache/log; cp /cache/log /log
RUN --mount=type=tmpfs,target=/tmp/t touch /tmp/t/x
RUN --mount=type=bind,target=/context --mount=type=bind,from=other,source=/file,target=/f,rw cat /context/c /f >/seen; echo no >/f
`;
    const seen = async (more: string) =>
      inside(
        await build(t, {Dockerfile: Dockerfile(more), c: 'context\n'}),
        'cat /log /seen; ls -d /cache /context /f /tmp/t 2>&1 | grep -vc "No such"',
      );
    t.is(await seen('one'), 'one\ncontext\nfrom-other\n0\n');
    t.is(await seen('two'), 'one\ntwo\ncontext\nfrom-other\n0\n');
  },
);

asRoot('a bind counts for whether its command is done again', async t => {
  const folder = buildFolder(t, {
    c: '1',
    Dockerfile: 'FROM host-shell\nRUN --mount=type=bind,target=/c cat /c/c >/o\n',
  });
  const runtime = await own.runtime;
  const cachedAfter = async (content: string) => {
    (await import('node:fs')).writeFileSync(join(folder, 'c'), content);
    const {counted, onProgress} = counter();
    await Image.build(folder, {network: 'none', onProgress}, {runtime});
    return counted.cached;
  };
  t.is(await cachedAfter('1'), 0);
  t.is(await cachedAfter('1'), 1);
  t.is(await cachedAfter('2'), 0);
});
