import test from 'ava';
import {parseChallenges} from '../../src/registry/challenge.js';

const reads = test.macro({
  exec(t, header: string, ...expected: readonly (readonly [string, Record<string, string>])[]) {
    t.deepEqual(
      parseChallenges(header)?.map(({scheme, parameters}) => [scheme, {...parameters}]),
      expected.map(([scheme, parameters]) => [scheme, parameters]),
    );
  },
  title: (_, header) => `reads ${header}`,
});

test(reads, 'Basic realm="Registry"', ['basic', {realm: 'Registry'}]);
test(
  reads,
  'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
  [
    'bearer',
    {realm: 'https://auth.example/token', service: 'registry.example', scope: 'repository:a/b:pull,push'},
  ],
);
test(reads, 'Bearer realm = "a" , service=b', ['bearer', {realm: 'a', service: 'b'}]);
test(reads, 'Negotiate, Basic realm="x"', ['negotiate', {}], ['basic', {realm: 'x'}]);
test(reads, 'Basic realm="a \\"quoted\\" word"', ['basic', {realm: 'a "quoted" word'}]);

const refuses = test.macro({
  exec(t, header: string) {
    t.is(parseChallenges(header), undefined);
  },
  title: (_, header: string) => `refuses ${JSON.stringify(header.slice(0, 60))}`,
});

test(refuses, 'Bearer realm="https://auth.example/token');
test(refuses, 'Bearer realm="a",realm="b"');
test(refuses, 'Bearer realm="a" service="b"');
test(refuses, 'Bearer realm="a\r\nX: y"');
test(refuses, '="a"');
test(refuses, `Bearer realm="${'a'.repeat(10_000)}"`);
