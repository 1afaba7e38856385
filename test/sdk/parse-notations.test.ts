import test from 'ava';
import {parseDevice, parseDeviceRate, parseDeviceWeight} from '../../src/sdk/parse-device.js';
import {parseDuration} from '../../src/sdk/parse-duration.js';
import {parseEnvFile} from '../../src/sdk/parse-env-file.js';
import {parseMount} from '../../src/sdk/parse-mount.js';
import {parseSignal, signalName} from '../../src/sdk/parse-signal.js';
import {parseSize} from '../../src/sdk/parse-size.js';
import {parseTmpfs} from '../../src/sdk/parse-tmpfs.js';
import {parseUlimit} from '../../src/sdk/parse-ulimit.js';
import {parseVolume} from '../../src/sdk/parse-volume.js';
import {parseVolumesFrom} from '../../src/sdk/parse-volumes-from.js';

/** The notations of Docker's flags. The words of refusals are those of the docker client 28 and its go-units. */
type Parse = (text: string) => unknown;
const bytesPerSecond = (text: string) => parseDeviceRate(text, 'bytes');
const operationsPerSecond = (text: string) => parseDeviceRate(text, 'operations');
const envFile = (text: string) => parseEnvFile(Buffer.from(text, 'latin1'), 'a.env');

const reads = test.macro({
  exec(t, parse: Parse, text: string, value: unknown) {
    t.deepEqual(parse(text), value);
  },
  title: (_, parse: Parse, text: unknown) => `${parse.name} reads ${JSON.stringify(text)}`,
});

const refuses = test.macro({
  exec(t, parse: Parse, text: string, message: string) {
    t.throws(() => parse(text), {code: 'ERR_INVALID_OPTION', message});
  },
  title: (_, parse: Parse, text: unknown) => `${parse.name} refuses ${JSON.stringify(text)}`,
});

test(reads, parseSize, '0', 0);
test(reads, parseSize, '1024', 1024);
test(reads, parseSize, '32b', 32);
test(reads, parseSize, '32k', 32 * 1024);
test(reads, parseSize, '32KB', 32 * 1024);
test(reads, parseSize, '32KiB', 32 * 1024);
test(reads, parseSize, '32 MiB', 32 * 1024 ** 2);
test(reads, parseSize, '1.5g', 1.5 * 1024 ** 3);
test(reads, parseSize, '.5t', 0.5 * 1024 ** 4);
test(reads, parseSize, '2P', 2 * 1024 ** 5);
test(refuses, parseSize, '', "invalid size: ''");
test(refuses, parseSize, 'x', "invalid size: 'x'");
test(refuses, parseSize, '-5', "invalid size: '-5'");
test(refuses, parseSize, '5zb', "invalid suffix: 'zb'");
test(refuses, parseSize, '5bb', "invalid suffix: 'bb'");
test(refuses, parseSize, '5kib5', 'strconv.ParseFloat: parsing "5kib5": invalid syntax');
test(refuses, parseSize, '1.2.3', 'strconv.ParseFloat: parsing "1.2.3": invalid syntax');

test(reads, parseDuration, '30', 30_000);
test(reads, parseDuration, '1.5', 1500);
test(reads, parseDuration, '250ms', 250);
test(reads, parseDuration, '1m30s', 90_000);
test(reads, parseDuration, '2h', 7_200_000);
test(refuses, parseDuration, 'soon', 'time: invalid duration "soon"');
test(refuses, parseDuration, '-1', 'time: invalid duration "-1"');

test(reads, parseUlimit, 'nofile=1024:2048', {name: 'nofile', limit: {soft: 1024, hard: 2048}});
test(reads, parseUlimit, 'core=0', {name: 'core', limit: {soft: 0, hard: 0}});
test(reads, parseUlimit, 'memlock=-1', {name: 'memlock', limit: {soft: -1, hard: -1}});
test(refuses, parseUlimit, 'nofile', 'invalid ulimit argument: nofile');
test(refuses, parseUlimit, 'foo=1', 'invalid ulimit type: foo');
test(refuses, parseUlimit, 'nofile=a', 'strconv.ParseInt: parsing "a": invalid syntax');
test(refuses, parseUlimit, 'nofile=5:1', 'ulimit soft limit must be less than or equal to hard limit: 5 > 1');
test(
  refuses,
  parseUlimit,
  'nofile=-1:1',
  'ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: 1',
);
test(
  refuses,
  parseUlimit,
  'nofile=1:2:3',
  'too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`',
);

test(reads, parseVolume, '/data', {type: 'volume', target: '/data', writtenAs: '/data'});
test(reads, parseVolume, 'v:/data', {
  type: 'volume',
  name: 'v',
  target: '/data',
  readOnly: false,
  writtenAs: 'v:/data',
});
test(reads, parseVolume, 'v:/data:nocopy', {
  type: 'volume',
  name: 'v',
  target: '/data',
  readOnly: false,
  nocopy: true,
  writtenAs: 'v:/data:nocopy',
});
test(reads, parseVolume, '/a:/b:ro,rslave,z', {
  type: 'bind',
  source: '/a',
  createSource: true,
  propagation: 'rslave',
  target: '/b',
  readOnly: true,
  writtenAs: '/a:/b:ro,rslave,z',
});
test(refuses, parseVolume, 'v:/x:nope', 'invalid mode: nope');
test(refuses, parseVolume, 'v:/x:ro,rw', 'invalid mode: ro,rw');
for (const [spec, what] of [
  ['vol:/x:rslave', 'invalid mount config for type "volume": field BindOptions must not be specified'],
  ['/a:/x:nocopy', 'invalid mount config for type "bind": field VolumeOptions must not be specified'],
  ['vol:x', 'invalid mount config for type "volume": invalid mount path: \'x\' mount path must be absolute'],
  ['/a:b', 'invalid mount config for type "bind": invalid mount path: \'b\' mount path must be absolute'],
  ['vol:/../..', "invalid mount config for type \"volume\": invalid specification: destination can't be '/'"],
]) {
  test(refuses, parseVolume, spec!, `invalid volume specification: '${spec}': ${what}`);
}
for (const mode of ['z,Z', 'consistent,cached', 'ro,ro', ',', 'volume-nocopy'])
  test(refuses, parseVolume, `vol:/x:${mode}`, `invalid mode: ${mode}`);
test(reads, parseVolume, 'vol:/x:ro,z', {
  type: 'volume',
  name: 'vol',
  target: '/x',
  readOnly: true,
  writtenAs: 'vol:/x:ro,z',
});
test(refuses, parseVolume, 'v:/x:ro:rw', "invalid volume specification: 'v:/x:ro:rw'");
test(refuses, parseVolume, ':/x', "invalid volume specification: ':/x'");

test(reads, parseMount, 'type=bind,source=/a,target=/b,readonly', {
  type: 'bind',
  source: '/a',
  target: '/b',
  readOnly: true,
});
test(reads, parseMount, 'type=bind,src=/a,dst=/b,ro=false,bind-propagation=rslave,bind-recursive=disabled', {
  type: 'bind',
  source: '/a',
  target: '/b',
  propagation: 'rslave',
  nonRecursive: true,
});
test(reads, parseMount, 'source=v,destination=/b,volume-nocopy', {
  type: 'volume',
  name: 'v',
  target: '/b',
  nocopy: true,
});
test(reads, parseMount, 'TYPE=tmpfs,target=/x,tmpfs-size=64m,tmpfs-mode=1770', {
  type: 'tmpfs',
  target: '/x',
  sizeBytes: 64 * 1024 ** 2,
  mode: 0o1770,
});
test(reads, parseMount, 'type=bind,"source=/a,b",target=/c', {type: 'bind', source: '/a,b', target: '/c'});
test(refuses, parseMount, '', 'EOF');
test(refuses, parseMount, 'foo', "invalid field 'foo' must be a key=value pair");
test(refuses, parseMount, 'type=bind', 'target is required');
test(refuses, parseMount, 'source=a,target=/x,foo=1', "unexpected key 'foo' in 'foo=1'");
test(refuses, parseMount, 'type=tmpfs,target=/x,tmpfs-size=zz', 'invalid value for tmpfs-size: zz');
test(refuses, parseMount, 'type=tmpfs,target=/x,tmpfs-mode=9', 'invalid value for tmpfs-mode: 9');
test(refuses, parseMount, 'type=bind,src=/a,dst=/b,ro=maybe', 'invalid value for ro: maybe');
test(
  refuses,
  parseMount,
  'type=bind,source=/a,target=/b,volume-nocopy',
  "cannot mix 'volume-*' options with mount type 'bind'",
);
test(
  refuses,
  parseMount,
  'type=bind,target=/x',
  'invalid mount config for type "bind": field Source must not be empty',
);
test(
  reads,
  parseMount,
  'type=volume,dst=/x,volume-label=a=b,volume-label=c,volume-driver=local,volume-opt=type=tmpfs,"volume-opt=o=size=1m,ro",volume-subpath=a/b',
  {
    type: 'volume',
    target: '/x',
    subpath: 'a/b',
    driver: 'local',
    driverOptions: {type: 'tmpfs', o: 'size=1m,ro'},
    labels: {a: 'b', c: ''},
  },
);
test(reads, parseMount, 'type=bind,src=/a,dst=/b,bind-recursive=writable,ro', {
  type: 'bind',
  source: '/a',
  target: '/b',
  readOnly: true,
  writableBelow: true,
});
test(
  refuses,
  parseMount,
  'type=bind,src=/a,dst=/b,bind-recursive=readonly',
  "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
);
test(
  refuses,
  parseMount,
  'type=bind,src=/a,dst=/b,bind-recursive=foo',
  'invalid value for bind-recursive: foo (must be "enabled", "disabled", "writable", or "readonly")',
);
test(
  refuses,
  parseMount,
  'type=bind,src=/a,dst=/b,volume-nocopy',
  "cannot mix 'volume-*' options with mount type 'bind'",
);
test(reads, parseVolumesFrom, 'web', {container: 'web', readOnly: false});
test(reads, parseVolumesFrom, 'web:ro,z', {container: 'web', readOnly: true});
test(refuses, parseVolumesFrom, '', 'volumes-from specification cannot be an empty string');
test(refuses, parseVolumesFrom, ':ro', 'invalid name or ID supplied: ""');
for (const mode of ['xx', 'ro:z', 'nocopy', 'rslave'])
  test(refuses, parseVolumesFrom, `web:${mode}`, `invalid mode: ${mode}`);
test(refuses, parseMount, 'type=nope,target=/x', 'invalid mount config for type "nope": mount type unknown');

test(reads, parseTmpfs, '/run', {type: 'tmpfs', target: '/run', writtenAs: ''});
test(reads, parseTmpfs, '/run:rw,exec,size=64m,mode=1777,uid=1000,nr_inodes=1k', {
  type: 'tmpfs',
  target: '/run',
  writtenAs: 'rw,exec,size=64m,mode=1777,uid=1000,nr_inodes=1k',
  readOnly: false,
  exec: true,
  sizeBytes: 64 * 1024 ** 2,
  mode: 0o1777,
  uid: 1000,
  inodes: 1024,
});
test(refuses, parseTmpfs, 'relative', "invalid mount path: 'relative' mount path must be absolute");
test(refuses, parseTmpfs, '/x:nope', 'invalid tmpfs option ["nope"]');
test(refuses, parseTmpfs, '/x:toString', 'invalid tmpfs option ["toString"]');

test(reads, parseDevice, '/dev/fuse', {source: '/dev/fuse'});
test(reads, parseDevice, '/dev/fuse:r', {source: '/dev/fuse', access: 'r'});
test(reads, parseDevice, '/dev/fuse:/dev/other', {source: '/dev/fuse', target: '/dev/other'});
test(reads, parseDevice, '/dev/fuse:/dev/other:rw', {
  source: '/dev/fuse',
  target: '/dev/other',
  access: 'rw',
});
test(refuses, parseDevice, '', 'bad format for path: ');
test(refuses, parseDevice, '/dev/null:/x:q', 'bad mode specified: q');
test(reads, bytesPerSecond, '/dev/sda:1mb', {path: '/dev/sda', rate: 1024 ** 2});
test(reads, operationsPerSecond, '/dev/sda:100', {path: '/dev/sda', rate: 100});
test(refuses, bytesPerSecond, '/dev/x', 'bad format: /dev/x');
test(refuses, bytesPerSecond, 'x:1m', 'bad format for device path: x:1m');
test(
  refuses,
  bytesPerSecond,
  '/dev/x:q',
  'invalid rate for device: /dev/x:q. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb',
);
test(
  refuses,
  operationsPerSecond,
  '/dev/x:1m',
  'invalid rate for device: /dev/x:1m. The correct format is <device-path>:<number>. Number must be a positive integer',
);
test(reads, parseDeviceWeight, '/dev/sda:200', {path: '/dev/sda', weight: 200});
test(refuses, parseDeviceWeight, '/dev/sda:5', 'invalid weight for device: /dev/sda:5');

test(reads, envFile, '# a comment\n\nA=1 # kept\n  B="quoted"\nHOME\r\nC=\n', [
  'A=1 # kept',
  'B="quoted"',
  'HOME',
  'C=',
]);
test(refuses, envFile, '=x', "invalid env file (a.env): no variable name on line '=x'");
test(
  refuses,
  envFile,
  '\xc3\xa4=1\nA=\xff1',
  'invalid env file (a.env): invalid utf8 bytes at line 2: [65 61 255 49]',
);
test(refuses, envFile, 'A B=x', "invalid env file (a.env): variable 'A B' contains whitespaces");

test(reads, parseSignal, 'SIGTERM', 15);
test(reads, parseSignal, 'kill', 9);
test(reads, parseSignal, '2', 2);
test(reads, parseSignal, 'SIGRTMIN', 34);
test(reads, parseSignal, 'RTMIN+3', 37);
test(reads, parseSignal, 'RTMAX-1', 63);
test(refuses, parseSignal, 'nope', 'Invalid signal: nope');
test(refuses, parseSignal, '0', 'Invalid signal: 0');
test(refuses, parseSignal, 'RTMAX+1', 'Invalid signal: RTMAX+1');
test(refuses, parseSignal, '99', 'The linux daemon does not support signal 99');

test('a signal has one usual name', t => {
  t.is(signalName(9), 'SIGKILL');
  t.is(signalName(6), 'SIGABRT');
  t.is(signalName(29), 'SIGIO');
  t.is(signalName(37), 'SIGRTMIN+3');
});
