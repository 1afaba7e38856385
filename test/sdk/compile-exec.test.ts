import test from 'ava';
import {CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, type Plan} from '../../src/binding/index.js';
import {compileExec, type ExecPlanInput} from '../../src/sdk/compile-exec.js';
import {ownUlimits} from '../../src/sdk/default-ulimits.js';

const input: ExecPlanInput = {
  config: {noNewPrivileges: false, oomScoreAdj: 0, ulimits: {}, seccomp: 'default'},
  argv: ['ls', '-l'],
  env: ['PATH=/bin'],
  workdir: '/srv',
  user: {uid: 1000, gid: 1000, groups: [1000], home: '/'},
  capabilities: 1n,
  seccomp: {program: new Uint8Array(8), flags: 0},
  ulimits: ownUlimits(),
  cgroup: {host: [], child: [{op: 'write', stage: 'join cgroup', s1: '/c/tasks', s2: '0'}], cloneInto: -1},
  counters: [],
  namespaces: CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID,
  userNamespace: undefined,
  terminal: undefined,
  detached: false,
  bookkeeping: {host: [], started: [], teardown: []},
};

/** Runs of a step of one kind are one. */
function story(plan: Plan): string[] {
  const names = plan.child.map(({op, x}) => (op === 'setns' ? `setns ${x}` : op));
  return names.filter((name, index) => name !== names[index - 1]);
}

test('the namespace of processes is joined last, and forked into only without privileges', t => {
  t.deepEqual(story(compileExec(input)), [
    'write',
    'close',
    'prctl',
    'keyring',
    `setns ${CLONE_NEWNS | CLONE_NEWNET}`,
    'workdir',
    'umask',
    'rlimit',
    `setns ${CLONE_NEWPID}`,
    'close',
    'bounding',
    'prctl',
    'groups',
    'setgid',
    'setuid',
    'capset',
    'seccomp',
    'capset',
    'ambient',
    'fork',
    'stdio',
    'prctl',
    'life',
    'closeRange',
    'exec',
  ]);
});

test("a caller's own filter is loaded last: it may forbid what comes before", t => {
  const own = compileExec({...input, config: {...input.config, seccomp: {defaultAction: 'SCMP_ACT_ALLOW'}}});
  t.deepEqual(story(own).slice(-9), [
    'fork',
    'stdio',
    'prctl',
    'life',
    'closeRange',
    'seccomp',
    'capset',
    'ambient',
    'exec',
  ]);
});

test('what is detached does not die with who started it', t => {
  t.false(story(compileExec({...input, detached: true})).includes('life'));
});

test("ids are the container's own once its user namespace was joined", t => {
  const userNamespace = {uids: '', gids: '', by: 'root', rootUid: 1, rootGid: 1} as const;
  const steps = story(compileExec({...input, userNamespace, namespaces: CLONE_NEWUSER | CLONE_NEWPID}));
  t.deepEqual(steps.slice(4, 9), [`setns ${CLONE_NEWUSER}`, 'groups', 'setgid', 'setuid', 'workdir']);
});

test('a terminal is made as soon as its file system can be seen, and belongs to the session', t => {
  const steps = story(compileExec({...input, terminal: {rows: 1, columns: 2}}));
  t.true(steps.indexOf('terminal') < steps.indexOf('bounding'));
  t.is(steps[steps.indexOf('fork') + 2], 'ctty');
});
