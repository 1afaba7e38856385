import test from 'ava';
import {
  chainId,
  digestOf,
  formatPlatform,
  isDigest,
  parseDigest,
  parseImageConfig,
  parseManifest,
  parsePlatform,
  platformMatches,
  platformOf,
} from '../../src/oci/index.js';

const digest = digestOf('');
const descriptor = {mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 1};
const manifest = {schemaVersion: 2, config: descriptor, layers: [descriptor]};
const config = {os: 'linux', architecture: 'amd64', rootfs: {type: 'layers', diff_ids: [digest]}};

test('the digest of nothing is the well-known one', t => {
  t.is(digest, 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('only sha256 with 64 lower-case digits is a digest', t => {
  for (const text of [
    '',
    'sha256:',
    'sha256:../../etc',
    digest.toUpperCase(),
    `${digest}0`,
    `${digest}\n`,
    7,
  ]) {
    t.false(isDigest(text));
    t.throws(() => parseDigest(text), {code: 'ERR_INVALID_DIGEST'});
  }
});

test('a chain id is the diff id for one layer and a digest of the chain for more', t => {
  t.is(chainId([digest]), digest);
  t.is(chainId([digest, digest]), digestOf(`${digest} ${digest}`));
});

test('platforms are compared as Go names them, variants only where both have one', t => {
  t.deepEqual(platformOf('x64'), {os: 'linux', architecture: 'amd64'});
  t.is(formatPlatform(parsePlatform('linux/arm/v7')), 'linux/arm/v7');
  t.true(platformMatches(parsePlatform('linux/arm64/v8'), platformOf('arm64')));
  t.true(platformMatches(parsePlatform('linux/x86_64'), platformOf('x64')));
  t.false(platformMatches(parsePlatform('linux/arm/v7'), parsePlatform('linux/arm/v6')));
  t.false(platformMatches(parsePlatform('windows/amd64'), platformOf('x64')));
  t.throws(() => parsePlatform('linux'), {code: 'ERR_INVALID_PLATFORM'});
});

const refusesManifest = test.macro({
  exec(t, _name: string, document: unknown, message: RegExp) {
    t.throws(() => parseManifest(JSON.stringify(document)), {code: 'ERR_INVALID_IMAGE', message});
  },
  title: (_, name) => `a manifest is refused: ${name}`,
});

test(refusesManifest, 'manifest and index at once', {...manifest, manifests: []}, /at once/);
test(refusesManifest, 'no object', [], /not an object/);
test(refusesManifest, 'schema version 1', {...manifest, schemaVersion: 1}, /schema version/);
test(refusesManifest, 'layers are no list', {...manifest, layers: {}}, /layers is not a list/);
test(
  refusesManifest,
  'too many layers',
  {...manifest, layers: Array(1001).fill(descriptor)},
  /more than 1000/,
);
test(
  refusesManifest,
  'a digest that is a path',
  {...manifest, config: {...descriptor, digest: 'sha256:../x'}},
  /config\.digest/,
);
test(refusesManifest, 'a negative size', {...manifest, config: {...descriptor, size: -1}}, /config\.size/);
test(
  refusesManifest,
  'media type of an index',
  {...manifest, mediaType: 'application/vnd.oci.image.index.v1+json'},
  /says it is/,
);

test('manifests and indexes are told apart', t => {
  t.is(parseManifest(JSON.stringify(manifest)).kind, 'manifest');
  t.is(parseManifest(JSON.stringify({schemaVersion: 2, manifests: [descriptor]})).kind, 'index');
});

test('a document that is no JSON or too large is refused', t => {
  t.throws(() => parseManifest('{'), {code: 'ERR_INVALID_IMAGE', message: /not JSON/});
  t.throws(() => parseManifest(' '.repeat(5 * 1024 * 1024)), {code: 'ERR_INVALID_IMAGE', message: /larger/});
});

test('an image configuration keeps what is known and leaves out the rest', t => {
  const parsed = parseImageConfig(
    JSON.stringify({
      ...config,
      unknown: 1,
      config: {Cmd: null, Entrypoint: ['/hello'], Env: ['A=b'], Volumes: {'/data': {}}, Domainname: 'x'},
      history: [{created_by: 'me', empty_layer: true}],
    }),
  );
  t.deepEqual(parsed, {
    os: 'linux',
    architecture: 'amd64',
    config: {Env: ['A=b'], Entrypoint: ['/hello'], Volumes: {'/data': {}}},
    rootfs: {type: 'layers', diff_ids: [digest]},
    history: [{created_by: 'me', empty_layer: true}],
  });
});

const refusesConfig = test.macro({
  exec(t, _name: string, fields: object, message: RegExp) {
    const document = JSON.stringify({...config, config: fields});
    t.throws(() => parseImageConfig(document), {code: 'ERR_INVALID_IMAGE', message});
  },
  title: (_, name) => `an image configuration is refused: ${name}`,
});

test(refusesConfig, 'a NUL in the environment', {Env: ['A=\0']}, /Env\[0\] has a NUL/);
test(refusesConfig, 'a variable without a name', {Env: ['=x']}, /without a name/);
test(refusesConfig, 'a command of numbers', {Cmd: [1]}, /Cmd\[0\] is not a string/);
test(refusesConfig, 'labels of objects', {Labels: {a: {}}}, /Labels\.a is not a string/);
test(
  refusesConfig,
  'too many labels',
  {Labels: Object.fromEntries(Array.from({length: 10_001}, (_, i) => [i, '']))},
  /more than/,
);

test('a label named __proto__ is a label', t => {
  const parsed = parseImageConfig(`{"rootfs":{"type":"layers"},"config":{"Labels":{"__proto__":"x"}}}`);
  t.deepEqual(Object.entries(parsed.config.Labels!), [['__proto__', 'x']]);
});
