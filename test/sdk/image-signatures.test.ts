import {createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, scryptSync} from 'node:crypto';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {xsalsa20poly1305} from '@noble/ciphers/salsa.js';
import test, {type ExecutionContext} from 'ava';
import {Container, Image, type Runtime, signImage, verifyImage} from '../../src/index.js';
import {digestOf, signClaim, verifyClaim} from '../../src/oci/index.js';
import {parseConfig} from '../../src/sdk/config-file.js';
import {ruleFor} from '../../src/sdk/image-policy.js';
import {readPrivateKey} from '../../src/sdk/signing-key.js';
import {configuredRuntime} from '../helpers/configured-runtime.js';
import {DockerRegistry} from '../helpers/docker-registry.js';
import {loadLayered} from '../helpers/layered-image.js';
import {requiresAsRoot} from '../helpers/requires.js';

const folder = mkdtempSync(join(tmpdir(), 'coracle-signatures-'));
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

interface Pair {
  readonly key: string;
  readonly pub: string;
}

function pair(name: string, passphrase?: string): Pair {
  const {privateKey, publicKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'});
  const [key, pub] = [join(folder, `${name}.key`), join(folder, `${name}.pub`)];
  const cipher = passphrase === undefined ? {} : {cipher: 'aes-256-cbc', passphrase};
  writeFileSync(key, privateKey.export({type: 'pkcs8', format: 'pem', ...cipher}));
  writeFileSync(pub, publicKey.export({type: 'spki', format: 'pem'}));
  return {key, pub};
}

const team = pair('team');
const stranger = pair('stranger');

let machines = 0;
async function machine(t: ExecutionContext, configuration: object = {}): Promise<Runtime> {
  const runtime = await configuredRuntime(folder, `machine-${++machines}`, configuration);
  t.teardown(() => runtime.close());
  return runtime;
}

const withRegistry = requiresAsRoot('docker-registry', 'docker-registry');

withRegistry('what was signed with a key is verified with its public half, and with no other', async t => {
  await using server = await DockerRegistry.start();
  const runtime = await machine(t);
  const name = `${server.name}/team/tool`;
  await loadLayered(runtime, name, [[{path: 'one', content: '1'}]]);
  const digest = await Image.push(name, {}, {runtime});
  await t.throwsAsync(verifyImage(name, {key: team.pub}), {code: 'ERR_IMAGE_REFUSED'});
  t.is(await signImage(name, {key: stranger.key}), digest);
  await t.throwsAsync(verifyImage(name, {key: team.pub}), {code: 'ERR_IMAGE_REFUSED'});
  t.is(await signImage(name, {key: team.key}), digest);
  t.deepEqual(await verifyImage(name, {key: team.pub}), {
    digest,
    payloads: [
      {
        critical: {
          identity: {'docker-reference': name},
          image: {'docker-manifest-digest': digest},
          type: 'cosign container image signature',
        },
        optional: null,
      },
    ],
  });
  t.is((await verifyImage(name, {key: stranger.pub})).digest, digest);

  const policy = (rule: object | string) => ({'image-policy': {rules: {[`${server.name}/team`]: rule}}});
  const signedBy = {signedBy: [team.pub]};

  const careful = await machine(t, policy(signedBy));
  const pulled = await Image.pull(name, {}, {runtime: careful});
  const create = (reference: string, on: Runtime) =>
    Container.create(reference, {pull: 'never', command: ['/one']}, {runtime: on});
  await (await create(name, careful)).remove();
  await (await create(pulled.id, careful)).remove();

  // An image without a signature gets a name by tag: the name does not help it.
  const other = await loadLayered(careful, 'other', [[{path: 'two', content: '2'}]]);
  await other.tag(`${name}:evil`);
  await t.throwsAsync(create(`${name}:evil`, careful), {code: 'ERR_IMAGE_REFUSED'});
  await t.throwsAsync(create(other.id, careful), {code: 'ERR_IMAGE_REFUSED'});
  await (await create('other', careful)).remove();

  // Nor does a signature of something else.
  await loadLayered(runtime, `${server.name}/team/unsigned`, [[{path: 'three', content: '3'}]]);
  await Image.push(`${server.name}/team/unsigned`, {}, {runtime});
  await t.throwsAsync(Image.pull(`${server.name}/team/unsigned`, {}, {runtime: careful}), {
    code: 'ERR_IMAGE_REFUSED',
  });
  t.is((await Image.list({}, {runtime: careful})).length, 2);

  const distrustful = await machine(t, policy('reject'));
  await t.throwsAsync(Image.pull(name, {}, {runtime: distrustful}), {code: 'ERR_IMAGE_REFUSED'});
  const elsewhere = await machine(t, policy({...signedBy, signedAs: 'registry.example/team/tool'}));
  await t.throwsAsync(Image.pull(name, {}, {runtime: elsewhere}), {code: 'ERR_IMAGE_REFUSED'});

  // A rule that is new holds for what is here already.
  const {root, run} = runtime.store;
  await (await create(name, runtime)).remove();
  await runtime.close();
  const later = await configuredRuntime(folder, 'machine-1', policy(signedBy));
  t.teardown(() => later.close());
  t.is(later.store.root, root);
  t.is(later.store.run, run);
  await t.throwsAsync(create(name, later), {code: 'ERR_IMAGE_REFUSED'});
  await Image.pull(name, {}, {runtime: later});
  await (await create(name, later)).remove();
});

test('a signature of other content, of another kind of thing or with a bit changed is none', t => {
  const {privateKey, publicKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'});
  const claim = {digest: digestOf('a'), reference: 'registry.example/x'};
  const signed = signClaim(claim, privateKey);
  t.deepEqual(verifyClaim(signed, [publicKey]), claim);
  const changed = Buffer.from(signed.payload);
  changed[20]! ^= 1;
  t.is(verifyClaim({...signed, payload: changed}, [publicKey]), undefined);
  t.is(verifyClaim({...signed, signature: 'AAAA'}, [publicKey]), undefined);
  t.is(verifyClaim({...signed, signature: ''}, [publicKey]), undefined);
  t.is(verifyClaim(signed, []), undefined);
});

test('keys are read from PEM, plain and encrypted, and from what cosign writes', t => {
  const encrypted = pair('encrypted', 'open sesame');
  t.is(readPrivateKey(encrypted.key, 'open sesame').asymmetricKeyType, 'ec');
  t.throws(() => readPrivateKey(encrypted.key, 'guess'), {code: 'ERR_SIGNING_KEY'});
  const plain = createPrivateKey(readPrivateKey(team.key).export({type: 'pkcs8', format: 'pem'}) as string);
  const cosign = join(folder, 'cosign.key');
  writeFileSync(cosign, asCosignWrites(plain, 'open sesame'));
  t.true(readPrivateKey(cosign, 'open sesame').equals(plain));
  t.throws(() => readPrivateKey(cosign, 'guess'), {code: 'ERR_SIGNING_KEY', message: /another passphrase/});
  t.throws(() => readPrivateKey(join(folder, 'absent')), {code: 'ERR_SIGNING_KEY', message: /ENOENT/});
  t.throws(() => readPrivateKey(team.pub), {code: 'ERR_SIGNING_KEY'});
});

/** scrypt and secretbox, as JSON in base64: pkg/cosign/keys.go. */
function asCosignWrites(key: KeyObject, passphrase: string): string {
  const [salt, nonce, params] = [randomBytes(32), randomBytes(24), {N: 1024, r: 8, p: 1}];
  const box = xsalsa20poly1305(scryptSync(passphrase, salt, 32, params), nonce);
  const document = {
    kdf: {name: 'scrypt', params, salt: salt.toString('base64')},
    cipher: {name: 'nacl/secretbox', nonce: nonce.toString('base64')},
    ciphertext: Buffer.from(box.encrypt(key.export({type: 'pkcs8', format: 'der'}))).toString('base64'),
  };
  const body = Buffer.from(JSON.stringify(document)).toString('base64').replaceAll(/.{64}/g, '$&\n');
  return `-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n${body}\n-----END ENCRYPTED COSIGN PRIVATE KEY-----\n`;
}

test('the rule of the longest beginning of a name counts, by whole components', t => {
  const {imagePolicy} = parseConfig(
    JSON.stringify({
      'image-policy': {
        default: 'reject',
        rules: {
          'docker.io': 'accept',
          'docker.io/library/evil': 'reject',
          'a.example/team': {signedBy: ['/k']},
        },
      },
    }),
    'config.json',
  );
  const rule = (domain: string, path: string) => ruleFor({domain, path}, imagePolicy!);
  t.is(rule('docker.io', 'library/alpine'), 'accept');
  t.is(rule('docker.io', 'library/evil'), 'reject');
  t.is(rule('docker.io', 'library/evils'), 'accept');
  t.deepEqual(rule('a.example', 'team/deep/tool'), {signedBy: ['/k']});
  t.is(rule('a.example', 'teams/tool'), 'reject');
});

for (const [document, because] of [
  ['{"image-policy": {"default": "maybe"}}', /default must be accept, reject/],
  ['{"image-policy": {"rules": {"x": {}}}}', /signedBy must be absolute paths/],
  ['{"image-policy": {"rules": {"x": {"signedBy": ["team.pub"]}}}}', /signedBy must be absolute paths/],
  ['{"image-policy": {"rules": {"x": {"signedby": ["/k"]}}}}', /did you mean signedBy/],
  ['{"registry-mirrors": ["ftp://x"]}', /must be addresses/],
  ['{"registry-mirrors": ["https://u:p@x"]}', /must be addresses/],
  ['{"insecure-registries": "x"}', /must be an array of strings/],
] as const) {
  test(`the configuration ${document} is refused`, t => {
    t.throws(() => parseConfig(document, 'config.json'), {code: 'ERR_CONFIG_INVALID', message: because});
  });
}
