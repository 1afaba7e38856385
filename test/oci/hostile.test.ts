/** Texts that strangers write, changed at random: whatever comes of them, it is an answer or an error of ours. */
import test from 'ava';
import {CoracleError} from '../../src/errors.js';
import {canonicalString, parseImageConfig, parseManifest, parseReference} from '../../src/oci/index.js';
import {parseChallenges} from '../../src/registry/challenge.js';
import {faultText, parseFaults} from '../../src/registry/registry-error.js';

const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 3000 : 300_000;
const DIGEST = `sha256:${'a'.repeat(64)}`;
const DESCRIPTOR = {mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: DIGEST, size: 5};

/** Deterministic, so that what fails can be repeated: mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const PIECES = [
  '',
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ':',
  '/',
  '@',
  ',',
  '=',
  '\0',
  '\r\n',
  '\u001b[2J',
  '.',
  '..',
  '-',
  'A',
  '9'.repeat(20),
  'null',
  '-1',
  '1e999',
  '__proto__',
  '\ud800',
  'ü',
];

function mutated(text: string, next: () => number): string {
  let result = text;
  for (let changes = 1 + Math.floor(next() * 4); changes > 0; changes--) {
    const at = Math.floor(next() * (result.length + 1));
    const removed = Math.floor(next() * 4);
    result = result.slice(0, at) + PIECES[Math.floor(next() * PIECES.length)] + result.slice(at + removed);
  }
  return result;
}

function survives(name: string, seeds: readonly string[], parse: (text: string) => unknown): void {
  test(`${name}: ${ROUNDS} changed texts are answered, or refused with an error that has a code`, t => {
    for (let round = 0; round < ROUNDS; round++) {
      const text = mutated(seeds[round % seeds.length]!, random(round));
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof CoracleError)) t.fail(`round ${round}: ${JSON.stringify(text)}: ${error}`);
      }
    }
    t.is(({} as Record<string, unknown>)['polluted'], undefined);
    t.pass();
  });
}

survives(
  'references',
  ['alpine', 'localhost:5000/a/b:tag', `ghcr.io/owner/tool:1.2@${DIGEST}`, '[::1]:5000/x'],
  text => {
    const reference = parseReference(text);
    const written = canonicalString(reference);
    if (canonicalString(parseReference(written)) !== written) throw new Error(`${written} is read otherwise`);
    if (/[^\x21-\x7e]/.test(written) || reference.path.includes('..'))
      throw new Error(`${written} is no name`);
  },
);

survives(
  'manifests',
  [
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: DESCRIPTOR,
      layers: [DESCRIPTOR],
    }),
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [{...DESCRIPTOR, platform: {os: 'linux', architecture: 'amd64'}}],
    }),
  ],
  text => parseManifest(text),
);

survives(
  'configurations',
  [
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {Env: ['A=b'], Cmd: ['x'], ExposedPorts: {'80/tcp': {}}},
      rootfs: {type: 'layers', diff_ids: [DIGEST]},
      history: [{created_by: 'x'}],
    }),
  ],
  text => parseImageConfig(text),
);

survives(
  'challenges',
  [
    'Bearer realm="https://a.example/token",service="b",scope="repository:x:pull"',
    'Basic realm="x", Negotiate',
  ],
  parseChallenges,
);

survives(
  'errors of registries',
  [JSON.stringify({errors: [{code: 'DENIED', message: 'no', detail: {}}]}), '{"details":"x"}'],
  text => {
    const told = faultText(parseFaults(text));
    if (/[\u0000-\u001f]/.test(told)) throw new Error('a control character went through');
  },
);
