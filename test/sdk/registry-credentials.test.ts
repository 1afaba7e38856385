import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {delimiter, join} from 'node:path';
import test from 'ava';
import {eraseCredentials, findCredentials, storeCredentials} from '../../src/sdk/registry-credentials.js';

const folder = mkdtempSync(join(tmpdir(), 'coracle-credentials-'));
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

let made = 0;
/** An environment with a configuration of the docker client's. */
function client(document?: unknown): {env: NodeJS.ProcessEnv; file: string; directory: string} {
  const directory = join(folder, String(++made));
  mkdirSync(directory);
  const file = join(directory, 'config.json');
  if (document !== undefined)
    writeFileSync(file, typeof document === 'string' ? document : JSON.stringify(document));
  return {env: {DOCKER_CONFIG: directory}, file, directory};
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const ADA = {username: 'ada', password: 'with:colon'};

test('credentials are kept as docker keeps them, for the owner alone, with every other key as it was', async t => {
  const {env, file, directory} = client({
    HttpHeaders: {'X-A': '1'},
    auths: {other: {auth: base64('b:c')}},
    detachKeys: 'ctrl-x',
  });
  chmodSync(file, 0o644);
  t.deepEqual(await storeCredentials('registry.example:5000', ADA, env), {unencryptedIn: file});
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    HttpHeaders: {'X-A': '1'},
    auths: {other: {auth: base64('b:c')}, 'registry.example:5000': {auth: base64('ada:with:colon')}},
    detachKeys: 'ctrl-x',
  });
  t.is(statSync(file).mode & 0o777, 0o600);
  t.deepEqual(readdirSync(directory), ['config.json']);
  t.deepEqual(await findCredentials('registry.example:5000', env), ADA);
  t.is(await findCredentials('registry.example', env), undefined);
  await eraseCredentials('registry.example:5000', env);
  t.deepEqual(Object.keys(JSON.parse(readFileSync(file, 'utf8')).auths), ['other']);
});

test('the first login makes the file, and through a link the file that it leads to is replaced', async t => {
  const {env, file, directory} = client();
  rmSync(directory, {recursive: true});
  await storeCredentials('docker.io', ADA, env);
  t.deepEqual(Object.keys(JSON.parse(readFileSync(file, 'utf8')).auths), ['https://index.docker.io/v1/']);
  t.deepEqual(await findCredentials('docker.io', env), ADA);
  const linked = client();
  const elsewhere = join(folder, 'elsewhere.json');
  writeFileSync(elsewhere, '{}');
  symlinkSync(elsewhere, linked.file);
  await storeCredentials('a.example', ADA, linked.env);
  t.true(readFileSync(elsewhere, 'utf8').includes('a.example'));
});

test('addresses that old clients wrote, identity tokens and plain fields are understood', async t => {
  const {env} = client({
    auths: {
      'https://old.example/v1/': {auth: base64('ada:pw')},
      'token.example': {auth: base64('ada:'), identitytoken: 'idt'},
      'plain.example': {username: 'ada', password: 'pw'},
      'https://index.docker.io/v1/': {auth: base64('hub:pw')},
      'empty.example': {},
    },
  });
  t.deepEqual(await findCredentials('old.example', env), {username: 'ada', password: 'pw'});
  t.deepEqual(await findCredentials('token.example', env), {username: 'ada', identityToken: 'idt'});
  t.deepEqual(await findCredentials('plain.example', env), {username: 'ada', password: 'pw'});
  t.deepEqual(await findCredentials('docker.io', env), {username: 'hub', password: 'pw'});
  t.is(await findCredentials('empty.example', env), undefined);
  t.is(await findCredentials('index.docker.io.evil.example', env), undefined);
});

for (const [what, document] of [
  ['is not JSON', '{"auths": {"a": {"auth": "c2VjcmV0"'],
  ['is a list', '[]'],
  ['has credentials without a colon', {auths: {'a.example': {auth: base64('secret')}}}],
  ['names a helper outside of the PATH', {credsStore: '../../secret'}],
] as const) {
  test(`a configuration that ${what} is told by its path, and nothing in it is repeated`, async t => {
    const {env, file} = client(document);
    const error = await t.throwsAsync(findCredentials('a.example', env), {code: 'ERR_CREDENTIALS'});
    t.true(error!.message.startsWith(file));
    t.notRegex(error!.message, /secret|c2VjcmV0/);
  });
}

/** A helper as docker-credential-helpers describes one: a shell script that keeps one secret in a file. */
const HELPER = `#!/bin/sh
echo "$1 $#" >>"$HELPER_LOG"
case $1 in
store) cat >"$HELPER_LOG.kept" ;;
get) read -r server
  if [ "$server" = token.example ]; then echo '{"ServerURL":"x","Username":"<token>","Secret":"idt"}'; exit 0; fi
  if [ "$server" = broken.example ]; then echo 'my secret is 123'; exit 1; fi
  [ -f "$HELPER_LOG.kept" ] && cat "$HELPER_LOG.kept" && exit 0
  echo 'credentials not found in native keychain'; exit 1 ;;
erase) rm -f "$HELPER_LOG.kept" ;;
esac
`;

test.serial('a credential helper is asked on its stdin, never by arguments', async t => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'docker-credential-test'), HELPER, {mode: 0o755});
  const log = join(folder, 'helper.log');
  const {env, file} = client({credsStore: 'test', credHelpers: {'other.example': 'absent'}});
  const {PATH} = process.env;
  Object.assign(process.env, {PATH: `${bin}${delimiter}${PATH}`, HELPER_LOG: log});
  try {
    t.is(await findCredentials('a.example', env), undefined);
    t.deepEqual(await storeCredentials('a.example', ADA, env), {});
    t.deepEqual(await findCredentials('a.example', env), ADA);
    t.deepEqual(await findCredentials('token.example', env), {identityToken: 'idt'});
    await eraseCredentials('a.example', env);
    t.is(await findCredentials('a.example', env), undefined);
    t.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
      credsStore: 'test',
      credHelpers: {'other.example': 'absent'},
    });
    t.deepEqual(
      new Set(readFileSync(log, 'utf8').trim().split('\n')),
      new Set(['get 1', 'store 1', 'erase 1']),
    );
    const broken = await t.throwsAsync(findCredentials('broken.example', env), {code: 'ERR_CREDENTIALS'});
    t.false(broken!.message.includes('123'));
    await t.throwsAsync(findCredentials('other.example', env), {
      code: 'ERR_CREDENTIALS',
      message: /docker-credential-absent is not installed/,
    });
  } finally {
    process.env['PATH'] = PATH;
    delete process.env['HELPER_LOG'];
  }
});
