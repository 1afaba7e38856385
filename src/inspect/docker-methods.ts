import type {ByteString} from './byte-string.js';
import {toLower} from './letter-case.js';
import {defined, INT, type Method, type MethodTable, pointerTo, STRING, type Type, UINT64} from './types.js';
import {field, ofBool, ofInt, ofString, type Value} from './value.js';

type Methods = Pick<Type, 'methods' | 'pointerMethods'>;

/** What one of Docker's types can be asked in a template: `{{.HostConfig.NetworkMode.IsHost}}`. */
export const methodsOf = (type: string): Methods => (Object.hasOwn(METHODS, type) ? METHODS[type]!() : {});

/** By type name. Made when they are asked for, as most templates ask for none. */
const METHODS: Readonly<Record<string, () => Methods>> = {
  'container.NetworkMode': () => ({
    methods: {
      IsNone: is('none'),
      IsDefault: is('default'),
      IsBridge: is('bridge'),
      IsHost: is('host'),
      IsContainer: test(isContainer),
      IsPrivate: test(mode => mode !== 'host' && !isContainer(mode)),
      IsUserDefined: test(isUserDefined),
      ConnectedContainer: say(containerOf),
      UserDefined: say(mode => (isUserDefined(mode) ? mode : '')),
      NetworkName: say(mode => (isContainer(mode) ? 'container' : mode)),
    },
  }),
  'container.CgroupnsMode': () => ({
    methods: {
      IsPrivate: is('private'),
      IsHost: is('host'),
      IsEmpty: is(''),
      Valid: test(mode => ['', 'private', 'host'].includes(mode)),
    },
  }),
  'container.IpcMode': () => ({
    methods: {
      IsPrivate: is('private'),
      IsHost: is('host'),
      IsShareable: is('shareable'),
      IsContainer: test(isContainer),
      IsNone: is('none'),
      IsEmpty: is(''),
      Valid: test(mode => ['', 'none', 'private', 'host', 'shareable'].includes(mode) || isContainer(mode)),
      Container: say(containerOf),
    },
  }),
  'container.CgroupSpec': () => ({
    methods: {
      IsContainer: test(isContainer),
      Valid: test(spec => spec === '' || isContainer(spec)),
      Container: say(containerOf),
    },
  }),
  'container.PidMode': () => ({
    methods: {
      IsPrivate: test(mode => mode !== 'host' && !isContainer(mode)),
      IsHost: is('host'),
      IsContainer: test(isContainer),
      Valid: test(mode => mode === '' || mode === 'host' || containerOf(mode) !== ''),
      Container: say(containerOf),
    },
  }),
  'container.UTSMode': () => ({methods: hostMode()}),
  'container.UsernsMode': () => ({methods: hostMode()}),
  'container.Isolation': () => ({
    methods: {
      IsDefault: test(mode => ['', 'default'].includes(toLower(mode))),
      IsValid: test(mode => ['', 'default'].includes(toLower(mode))),
      IsHyperV: test(mode => toLower(mode) === 'hyperv'),
      IsProcess: test(mode => toLower(mode) === 'process'),
    },
  }),
  'container.RestartPolicy': () => ({
    pointerMethods: {
      IsNone: policy(name => name === 'no' || name === ''),
      IsAlways: policy(name => name === 'always'),
      IsOnFailure: policy(name => name === 'on-failure'),
      IsUnlessStopped: policy(name => name === 'unless-stopped'),
    },
  }),
  'nat.Port': () => ({
    methods: {
      Proto: say(port => splitPort(port).protocol),
      Port: say(port => splitPort(port).number),
      Int: {params: [], call: self => ofInt(portNumber(splitPort(text(self)).number))},
      Range: {params: [], badResults: 3, call: self => self},
    },
  }),
  'digest.Digest': () => ({
    methods: {
      String: say(digest => digest),
      Algorithm: {
        params: [],
        call: self => ({type: ALGORITHM, data: splitDigest(text(self))[0]}),
      },
      Encoded: say(digest => splitDigest(digest)[1]),
      Hex: say(digest => splitDigest(digest)[1]),
    },
  }),
  'units.Ulimit': () => ({
    pointerMethods: {
      String: describe(self => `${member(self, 0)}=${member(self, 2)}:${member(self, 1)}`),
      GetRlimit: {params: [], call: resourceLimit},
    },
  }),
  'network.EndpointSettings': () => ({pointerMethods: {Copy: {params: [], call: copied}}}),
  'network.EndpointIPAMConfig': () => ({pointerMethods: {Copy: {params: [], call: copied}}}),
  'blkiodev.WeightDevice': () => ({
    pointerMethods: {String: describe(self => `${member(self, 0)}:${member(self, 1)}`)},
  }),
  'blkiodev.ThrottleDevice': () => ({
    pointerMethods: {String: describe(self => `${member(self, 0)}:${member(self, 1)}`)},
  }),
  'swarm.Version': () => ({methods: {String: describe(self => `${member(self, 0)}`)}}),
  'fs.FileMode': () => ({
    methods: {
      String: describe(self => describeMode(self.data as bigint)),
      IsDir: {params: [], call: self => ofBool(((self.data as bigint) & (1n << 31n)) !== 0n)},
      IsRegular: {params: [], call: self => ofBool(((self.data as bigint) & 0x8f280000n) === 0n)},
      Perm: {params: [], call: self => ({type: self.type, data: (self.data as bigint) & 0o777n})},
    },
  }),
};

const text = (value: Value): ByteString => value.data as ByteString;
const member = (struct: Value, i: number): unknown => field(struct, i).data;

function test(holds: (value: ByteString) => boolean): Method {
  return {params: [], call: self => ofBool(holds(text(self)))};
}

function is(expected: ByteString): Method {
  return test(value => value === expected);
}

function say(words: (value: ByteString) => ByteString): Method {
  return describe(self => words(text(self)));
}

function describe(words: (self: Value) => ByteString): Method {
  return {params: [], call: self => ofString(words(self))};
}

function policy(holds: (name: unknown) => boolean): Method {
  return {params: [], call: self => ofBool(holds(member(self, 0)))};
}

function hostMode(): MethodTable {
  return {
    IsPrivate: test(mode => mode !== 'host'),
    IsHost: is('host'),
    Valid: test(mode => mode === '' || mode === 'host'),
  };
}

const ALGORITHM = defined('digest.Algorithm', STRING, {String: say(algorithm => algorithm)});

const RLIMIT: Type = {
  kind: 'struct',
  name: 'units.Rlimit',
  named: true,
  fields: [
    {name: 'Type', type: INT, json: 'type'},
    {name: 'Hard', type: UINT64, json: 'hard'},
    {name: 'Soft', type: UINT64, json: 'soft'},
  ],
};
/** RLIMIT_* of Linux, by number. */
const RLIMITS =
  'cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime';

function resourceLimit(self: Value): Value {
  const [name, hard, soft] = [0, 1, 2].map(i => member(self, i)) as [ByteString, bigint, bigint];
  const number = RLIMITS.split(' ').indexOf(name);
  if (number < 0 || name === 'as') throw new Error(`invalid ulimit type: ${name}`);
  const data = [BigInt(number), BigInt.asUintN(64, hard), BigInt.asUintN(64, soft)];
  return {type: pointerTo(RLIMIT), data: {data}};
}

function copied(self: Value): Value {
  return {type: pointerTo(self.type), data: {data: self.data}};
}

function isContainer(mode: ByteString): boolean {
  return mode.startsWith('container:');
}

function containerOf(mode: ByteString): ByteString {
  return isContainer(mode) ? mode.slice('container:'.length) : '';
}

function isUserDefined(mode: ByteString): boolean {
  return !['default', 'bridge', 'host', 'none'].includes(mode) && !isContainer(mode);
}

/** `80/tcp`; tcp where nothing is said. */
function splitPort(port: ByteString): {protocol: ByteString; number: ByteString} {
  const [number = '', protocol = ''] = port.split('/');
  return number === '' ? {protocol: '', number: ''} : {protocol: protocol || 'tcp', number};
}

const portNumber = (port: ByteString): number =>
  /^\d+$/.test(port) && Number(port) <= 65535 ? Number(port) : 0;

function splitDigest(digest: ByteString): [algorithm: ByteString, encoded: ByteString] {
  const colon = digest.indexOf(':');
  if (colon < 0) throw new Error(`no ':' separator in digest "${digest}"`);
  return [digest.slice(0, colon), digest.slice(colon + 1)];
}

/** fs.FileMode's String: a letter for each special bit from the top, then rwxrwxrwx. */
function describeMode(mode: bigint): ByteString {
  const special = Array.from('dalTLDpSugct?').filter((_, i) => (mode & (1n << BigInt(31 - i))) !== 0n);
  const permissions = Array.from('rwxrwxrwx', (c, i) => ((mode & (1n << BigInt(8 - i))) !== 0n ? c : '-'));
  return (special.join('') || '-') + permissions.join('');
}
