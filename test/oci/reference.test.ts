import test from 'ava';
import {
  canonicalString,
  familiarName,
  familiarString,
  parseReference,
  withDefaultTag,
} from '../../src/oci/index.js';

const digest = `sha256:${'ab'.repeat(32)}`;

const means = test.macro({
  exec(t, text: string, canonical: string, familiar: string) {
    const reference = parseReference(text);
    t.is(canonicalString(reference), canonical);
    t.is(familiarString(reference), familiar);
    t.deepEqual(parseReference(canonical), reference);
  },
  title: (_, text, canonical) => `"${text}" means ${canonical}`,
});

test(means, 'alpine', 'docker.io/library/alpine', 'alpine');
test(means, 'alpine:3.20', 'docker.io/library/alpine:3.20', 'alpine:3.20');
test(means, 'library/alpine', 'docker.io/library/alpine', 'alpine');
test(means, 'docker.io/alpine', 'docker.io/library/alpine', 'alpine');
test(means, 'index.docker.io/library/alpine', 'docker.io/library/alpine', 'alpine');
test(means, 'owner/tool', 'docker.io/owner/tool', 'owner/tool');
test(means, 'library/a/b', 'docker.io/library/a/b', 'library/a/b');
test(means, 'localhost/tool', 'localhost/tool', 'localhost/tool');
test(means, 'localhost:5000/tool:x', 'localhost:5000/tool:x', 'localhost:5000/tool:x');
test(means, 'ghcr.io/a/b_c/d__e/f--g:V1', 'ghcr.io/a/b_c/d__e/f--g:V1', 'ghcr.io/a/b_c/d__e/f--g:V1');
test(means, 'HOST/tool', 'HOST/tool', 'HOST/tool');
test(means, '[::1]:5000/tool', '[::1]:5000/tool', '[::1]:5000/tool');
test(means, `alpine@${digest}`, `docker.io/library/alpine@${digest}`, `alpine@${digest}`);
test(means, `alpine:3@${digest}`, `docker.io/library/alpine:3@${digest}`, `alpine:3@${digest}`);

const refuses = test.macro({
  exec(t, text: string, message: string) {
    t.throws(() => parseReference(text), {code: 'ERR_INVALID_REFERENCE', message});
  },
  title: (_, text: string, message: string) => `"${text.slice(0, 40)}" is refused: ${message}`,
});

const format = 'invalid reference format';
for (const text of [
  '',
  ':tag',
  'a b',
  'a:',
  'a@',
  'a//b',
  '/a',
  'a/',
  '-a',
  'a..b',
  'a___b',
  'a:b:c',
  '../a',
  'a\n',
]) {
  test(refuses, text, format);
}
test(refuses, `a:${'t'.repeat(129)}`, format);
test(refuses, 'a@sha256:beef', format);
test(refuses, 'Foo', `${format}: repository name (library/Foo) must be lowercase`);
test(refuses, 'ghcr.io/Owner/x', `${format}: repository name (Owner/x) must be lowercase`);
test(refuses, `a@sha256:${'ab'.repeat(20)}`, 'invalid checksum digest length');
test(refuses, `a@md5:${'ab'.repeat(16)}`, 'unsupported digest algorithm');
test(
  refuses,
  'ab'.repeat(32),
  `invalid repository name (${'ab'.repeat(32)}), cannot specify 64-byte hexadecimal strings`,
);
test(refuses, `x/${'a'.repeat(300)}`, 'repository name must not be more than 255 characters');

test('latest is the tag of a reference without tag and digest', t => {
  t.is(familiarString(withDefaultTag(parseReference('alpine'))), 'alpine:latest');
  t.is(familiarString(withDefaultTag(parseReference('alpine:3'))), 'alpine:3');
  t.is(familiarString(withDefaultTag(parseReference(`alpine@${digest}`))), `alpine@${digest}`);
  t.is(familiarName(parseReference('alpine:3')), 'alpine');
});
