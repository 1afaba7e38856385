import test from 'ava';
import {parseExpose, parsePublish} from '../../src/sdk/index.js';

const tcp = {protocol: 'tcp'} as const;

test('-p reads the forms of Docker', t => {
  t.deepEqual(parsePublish('80'), [{...tcp, containerPort: 80}]);
  t.deepEqual(parsePublish('8080:80'), [{...tcp, containerPort: 80, hostPort: 8080}]);
  t.deepEqual(parsePublish('53:53/UDP'), [{protocol: 'udp', containerPort: 53, hostPort: 53}]);
  t.deepEqual(parsePublish('127.0.0.1::80'), [{...tcp, containerPort: 80, hostAddress: '127.0.0.1'}]);
  for (const text of ['[::1]:8080:80', '::1:8080:80'])
    t.deepEqual(parsePublish(text), [{...tcp, containerPort: 80, hostPort: 8080, hostAddress: '::1'}]);
  t.deepEqual(parsePublish('8000-8001:80-81'), [
    {...tcp, containerPort: 80, hostPort: 8000},
    {...tcp, containerPort: 81, hostPort: 8001},
  ]);
  t.deepEqual(parsePublish('published=8080,target=80,protocol=sctp'), [
    {protocol: 'sctp', containerPort: 80, hostPort: 8080},
  ]);
});

test('a range of the host for one port inside is a choice', t => {
  t.deepEqual(parsePublish('8000-8010:80'), [{...tcp, containerPort: 80, hostPort: 8000, hostPortEnd: 8010}]);
});

// What the docker client 28.2 says.
const REFUSALS: readonly (readonly [string, string])[] = [
  ['abc', 'invalid containerPort: abc'],
  ['80:abc', 'invalid containerPort: abc'],
  ['abc:80', 'invalid hostPort: abc'],
  ['70000', 'invalid containerPort: 70000'],
  ['8000-7000:80-90', 'invalid hostPort: 8000-7000'],
  ['1.2.3.4:80', 'invalid hostPort: 1.2.3.4'],
  ['80-82:90-91', 'invalid ranges specified for container and host Ports: 90-91 and 80-82'],
  ['1.2.3:80:80', 'invalid IP address: 1.2.3'],
  ['80/foo', 'invalid proto: foo'],
  ['', 'no port specified: <empty>'],
  ['80:', 'no port specified: 80:<empty>'],
  ['published=80', 'no port specified: 80:/tcp<empty>'],
];
for (const [text, message] of REFUSALS) {
  test(`-p ${text || "''"} is refused as Docker refuses it`, t => {
    t.throws(() => parsePublish(text), {code: 'ERR_INVALID_OPTION', message});
  });
}

test('--expose takes a port or a range, and refuses as Docker does', t => {
  t.deepEqual(parseExpose('80'), ['80/tcp']);
  t.deepEqual(parseExpose('8000-8002/udp'), ['8000/udp', '8001/udp', '8002/udp']);
  const refusal = (why: string, text: string) => ({
    message: `invalid range format for --expose: ${text}, error: ${why}`,
  });
  t.throws(() => parseExpose(''), refusal('empty string specified for ports', ''));
  t.throws(() => parseExpose('abc'), refusal('strconv.ParseUint: parsing "abc": invalid syntax', 'abc'));
  t.throws(() => parseExpose('90-80'), refusal('invalid range specified for port: 90-80', '90-80'));
});
