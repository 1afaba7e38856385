import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describeExit, type SeccompDocument} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

function profile(action: string, ...names: string[]): SeccompDocument {
  return {defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{names, action}]} as SeccompDocument;
}

asRoot('a call that the profile refuses fails with EPERM', async t => {
  const exit = await own.sh('mkdir /x', {seccomp: profile('SCMP_ACT_ERRNO', 'mkdir', 'mkdirat')});
  t.like(exit, {kind: 'code', code: 1});
  t.regex(exit.lastOutput.stderr, /Operation not permitted/);
});

for (const action of ['SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_KILL']) {
  asRoot(`a call that the profile kills for with ${action} is the cause of death`, async t => {
    const exit = await own.run({command: ['mkdir', '/x'], seccomp: profile(action, 'mkdir', 'mkdirat')});
    const {cause, ...end} = await exit.exit;
    t.like(end, {kind: 'signal', signalName: 'SIGSYS'});
    // Where an audit daemon takes the kernel's records, or its log is closed, nobody says which call it was.
    const isLogged = cause.kind === 'seccomp' && cause.systemCall !== undefined;
    t.deepEqual(cause, {kind: 'seccomp', systemCall: isLogged ? 'mkdir' : undefined});
    if (!isLogged) t.log('the kernel log does not say which call it was');
    t.is(
      describeExit({cause, ...end} as Parameters<typeof describeExit>[0]),
      `was killed by its seccomp profile${isLogged ? ' for calling mkdir' : ''}`,
    );
  });
}

asRoot('a profile can be a file of the host’s', async t => {
  const path = join(own.folder, 'profile.json');
  await own.runtime;
  writeFileSync(path, JSON.stringify(profile('SCMP_ACT_ERRNO', 'mkdir', 'mkdirat')));
  t.like(await own.sh('mkdir /x', {seccomp: {path}}), {kind: 'code', code: 1});
});

asRoot('a profile works without no_new_privs, and for users other than root', async t => {
  const seccomp = profile('SCMP_ACT_ERRNO', 'mkdir', 'mkdirat');
  for (const user of ['0', '1000']) {
    for (const noNewPrivileges of [true, false]) {
      const exit = await own.sh('mkdir /tmp/x', {seccomp, user, noNewPrivileges});
      t.like(exit, {kind: 'code', code: 1}, `user ${user}, no_new_privs ${noNewPrivileges}`);
    }
  }
});

asRoot(
  'Docker’s profile lets programs run and refuses what it refuses; unconfined refuses nothing',
  async t => {
    const mode = (seccomp: 'default' | 'unconfined') =>
      own.output("sed -n 's/^Seccomp:.//p' /proc/self/status", {seccomp});
    t.is(await mode('default'), '2\n');
    t.is(await mode('unconfined'), '0\n');
  },
);

asRoot('a profile that is none is refused before anything is made', async t => {
  await t.throwsAsync(own.run({command: ['true'], seccomp: {defaultAction: 'SCMP_ACT_NOPE'}}), {
    code: 'ERR_SECCOMP_PROFILE',
  });
  await t.throwsAsync(own.run({command: ['true'], seccomp: {path: '/nope'}}), {code: 'ERR_SECCOMP_PROFILE'});
});
