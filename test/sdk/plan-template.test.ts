import test from 'ava';
import {encodePlan, HOST, type Plan} from '../../src/binding/index.js';
import {Container, type RunOptions} from '../../src/index.js';
import {subjectOf} from '../../src/sdk/begin-run.js';
import {type Connection, connectNetwork, releaseAll} from '../../src/sdk/connect-network.js';
import {normalizeRunOptions} from '../../src/sdk/normalize-run-options.js';
import {fillTemplate, makeTemplate} from '../../src/sdk/plan-template.js';
import {planTransientStart} from '../../src/sdk/plan-transient-start.js';
import {withIdentity} from '../../src/sdk/pool.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

ownNetwork();

function planOf(id: string, name: string, record: string): Plan {
  const directory = `/live/containers/${id}`;
  return {
    host: [
      {op: 'symlink', stage: 'name', at: HOST, s1: `/live/names/${name}`, s2: id},
      {op: 'absent', stage: 'name', at: HOST, s1: `/root/names/${name}`},
      {op: 'create', stage: 'record', at: HOST, s1: `${directory}/config.json`, s2: record},
      {op: 'create', stage: 'hostname', at: HOST, s1: `${directory}/hostname`, s2: `${id.slice(0, 12)}\n`},
    ],
    parent: [],
    child: [],
    started: [],
    exit: [{op: 'report', stage: 'report', s1: `/cgroup/${id}/peak`, x: 3}],
    teardown: [{op: 'unlink', stage: 'name', at: HOST, s1: `/live/names/${name}`}],
  };
}

function identityOf(id: string, name: string, record: string) {
  const directory = `/live/containers/${id}`;
  const writable = `/root/transient/1-2-${id}`;
  const places = {id, directory, writable, name: `/live/names/${name}`, otherName: `/root/names/${name}`};
  return {places, record};
}

/** What the executor would see: each step with its texts. */
function stepsOf(encoded: Buffer): string[] {
  const strings = encoded.readUInt32LE(12);
  const text = (at: number) => {
    const offset = strings + encoded.readUInt32LE(at);
    const length = encoded.readUInt32LE(at + 4);
    if (encoded[offset + length] !== 0) throw new Error('a text does not end in a NUL');
    return encoded.toString('latin1', offset, offset + length);
  };
  return Array.from({length: (strings - 64) / 48}, (_, step) => {
    const at = 64 + step * 48;
    const numbers = [...Array(12).keys()].filter(word => word < 3 || word > 6);
    return [...numbers.map(word => encoded.readUInt32LE(at + word * 4)), text(at + 12), text(at + 20)].join(
      ' ',
    );
  });
}

const one = ['a'.repeat(12) + 'b'.repeat(52), 'first', '{"name":"first"}'] as const;

test('a filled template is the plan that compiling would have given', t => {
  const template = makeTemplate(planOf(...one), encodePlan(planOf(...one)), identityOf(...one))!;
  const others: readonly (readonly [id: string, name: string, record: string])[] = [
    ['c'.repeat(64), 'a_much_longer_name', '{"name":"a_much_longer_name","é":"ü"}'],
    ['d'.repeat(64), 'x1', '{}'],
    one,
  ];
  for (const other of others) {
    const filled = fillTemplate(template, identityOf(...other));
    t.deepEqual(stepsOf(filled), stepsOf(encodePlan(planOf(...other))));
    t.is(filled.readUInt32LE(8), filled.length);
    t.is(filled.at(-1), 0);
  }
});

test('filling leaves the template as it was', t => {
  const encoded = encodePlan(planOf(...one));
  const before = Buffer.from(encoded);
  const template = makeTemplate(planOf(...one), encoded, identityOf(...one))!;
  fillTemplate(template, identityOf('e'.repeat(64), 'other', '{}'));
  t.true(template.encoded.equals(before));
});

const own = ownRuntime();

asRoot('starts of one kind differ in id, name, host name and record, and in nothing else', async t => {
  const runtime = await own.runtime;
  const script = 'hostname; cat /etc/hostname; echo $HOSTNAME';
  for (const name of ['first-of-its-kind', 'second', undefined]) {
    const job = await Container.run(
      'host-shell',
      {stdin: 'pipe', command: ['sh', '-c', `${script}; read end`], ...(name !== undefined && {name})},
      {runtime},
    );
    const found = await Container.get(job.id, {runtime});
    t.is(found.name, name ?? found.name);
    const {Id, Name, Config} = await found.inspect();
    t.is(Id, job.id);
    t.is(Name, `/${found.name}`);
    t.is(Config.Hostname, job.id.slice(0, 12));
    job.stdin!.end('end\n');
    const exit = await job.exit;
    t.is(exit.lastOutput.stdout, `${job.id.slice(0, 12)}\n`.repeat(3));
  }
});

asRoot('options that differ make another kind', async t => {
  t.is(await own.output('echo $A', {env: {A: '1'}}), '1\n');
  t.is(await own.output('echo $A', {env: {A: '2'}}), '2\n');
  t.is(await own.output('hostname', {hostname: 'own'}), 'own\n');
  t.is(await own.output('hostname', {hostname: 'other'}), 'other\n');
});

asRoot('a failure of a start from a template names its own container', async t => {
  const options = {mounts: [{type: 'bind', source: '/nowhere', target: '/x'}]} as const;
  for (let round = 0; round < 2; round++) {
    await t.throwsAsync(own.sh('true', options), {code: 'ERR_MOUNT_SOURCE', message: /\/nowhere/});
  }
});

for (const [kind, options] of Object.entries<RunOptions>({
  'on a bridge': {network: 'bridge'},
  'with ports of the host': {
    ports: [
      {containerPort: 80, hostPort: 8095},
      {containerPort: 53, hostPort: 5395, protocol: 'udp', hostAddress: '127.0.0.1'},
    ],
  },
  'with names of its own': {network: 'bridge', extraHosts: ['out:host-gateway'], dns: ['10.0.0.53']},
})) {
  asRoot(
    `a container ${kind} differs in address and veth as well, and the template has all of that`,
    async t => {
      const runtime = await own.runtime;
      const normalized = normalizeRunOptions({...options, command: ['true']}, 'sdk', 'run', {});
      const subject = subjectOf(await runtime.describeContainer('host-shell', normalized));
      const connections: Connection[] = [];
      t.teardown(() => {
        for (const connection of connections) releaseAll(runtime, connection);
      });
      for (let round = 0; round < 12; round++) {
        const config = withIdentity(subject.config, runtime.store.containers.newId(), `place-${round}`);
        const connection = (await connectNetwork(runtime, config))!;
        connections.push(connection);
        const planned = planTransientStart(runtime, {...subject, config}, 'never', connection);
        t.is(
          Object.getOwnPropertyDescriptor(planned, 'plan')?.get === undefined,
          round === 0,
          'compiled once',
        );
        t.deepEqual(stepsOf(Buffer.from(planned.encoded)), stepsOf(encodePlan(planned.plan)));
      }
    },
  );
}
