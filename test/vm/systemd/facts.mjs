// What is true of containers under systemd. Runs in the machine of run-systemd.sh as a service, once before and once after a
// reboot, and writes TAP into the folder that the two machines share.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {appendFileSync, existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';

const TAP = '/results/tap';
/** On the machine's own disk. */
const ONCE_BOOTED = '/var/lib/coracle-facts-rebooted';
const ROOT = '/var/lib/coracle';
/** Software emulation on a busy machine; a fact that does not come true is a failure, not a matter of time. */
const PATIENCE_MS = 180_000;
const IS_V2 = run('stat', '-fc', '%T', '/sys/fs/cgroup') === 'cgroup2fs';
/** Where systemd keeps what belongs to a unit, and where containers have their limits. */
const [UNITS, LIMITS] = IS_V2
  ? ['/sys/fs/cgroup', '/sys/fs/cgroup']
  : ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/memory'];

appendFileSync(TAP, ''); // nowhere but in that machine
let count = readFileSync(TAP, 'utf8').match(/^(not )?ok /gm)?.length ?? 0;

async function fact(title, check) {
  let result = 'ok';
  let details = '';
  try {
    await check();
  } catch (error) {
    result = 'not ok';
    details = `${error.stack}\n${journal()}`.replace(/^/gm, '  # ');
  }
  appendFileSync(TAP, `${result} ${++count} - ${title}\n${details && `${details}\n`}`);
}

/** Standard output of a command that ends well. */
function run(command, ...words) {
  const {status, stdout, stderr} = spawnSync(command, words, {encoding: 'utf8', timeout: 2 * PATIENCE_MS});
  assert.equal(status, 0, `${command} ${words.join(' ')} ended with ${status}: ${stdout}${stderr}`);
  return stdout.trim();
}

const coracle = (...words) => run('coracle', ...words);
const systemctl = (...words) => run('systemctl', ...words);
const statesOf = (...names) => coracle('inspect', '--format', '{{.State.Status}}', ...names).split('\n');
const stateOf = name => statesOf(name)[0];
const detached = (name, ...flags) =>
  coracle('run', '-d', '--name', name, ...flags, 'host-shell', 'sleep', '100000');

async function until(condition) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(100)) if (condition()) return;
  assert.fail(`never came true: ${condition}`);
}

const pidsIn = cgroup => text(`${cgroup}/cgroup.procs`).split('\n').filter(Boolean);
const unitPids = unit => pidsIn(`${UNITS}/${unit}`);
const containerPids = id => pidsIn(`${LIMITS}/coracle/${id}`);
const containerCgroups = () => readdirSync(`${LIMITS}/coracle`).filter(name => /^[0-9a-f]{64}$/.test(name));
/** A name is a link to an id. */
const isMade = name => existsSync(ROOT) && readdirSync(`${ROOT}/names`).includes(name);
const directoryOf = id => `${ROOT}/containers/${id}`;
const idOf = name => readlinkSync(`${ROOT}/names/${name}`);
const monitorOf = id => Number.parseInt(text(`${directoryOf(id)}/watcher`), 10);
const journal = () => spawnSync('journalctl', ['-b', '-n', '40', '--no-pager'], {encoding: 'utf8'}).stdout;

function text(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Fails unless containers and monitors are where nothing but Coracle looks after them. */
function assertOnTheirOwn(...names) {
  assert.deepEqual(
    statesOf(...names),
    names.map(() => 'running'),
  );
  for (const id of names.map(idOf)) {
    const cgroups = text(`/proc/${monitorOf(id)}/cgroup`)
      .trim()
      .split('\n');
    for (const line of cgroups) assert.match(line, /:(\/|\/coracle\/monitors)$/, cgroups.join(' '));
    const [first] = containerPids(id);
    assert.ok(first);
    assert.doesNotMatch(text(`/proc/${first}/cgroup`), /\.(service|scope)/);
  }
}

async function beforeReboot() {
  const cgroups = IS_V2 ? 'cgroup v2 alone' : 'cgroup v1 beside an empty v2';
  await fact(`the machine has systemd as pid 1, ${cgroups}, and no failed unit`, () => {
    assert.equal(text('/proc/1/comm'), 'systemd\n');
    assert.equal(systemctl('--failed', '--no-legend'), '');
  });

  await fact('a detached container survives the stop of the transient service that started it', async () => {
    const script =
      'coracle run -d --name served host-shell sleep 100000; setsid sleep 31415 & exec sleep 31415';
    run('systemd-run', '--quiet', '--unit=starter', 'sh', '-c', script);
    await until(() => unitPids('system.slice/starter.service').length === 2 && isMade('served'));
    assert.equal(stateOf('served'), 'running');
    systemctl('stop', 'starter');
    assert.deepEqual(unitPids('system.slice/starter.service'), []);
    assertOnTheirOwn('served');
  });

  await fact("it survives the end of root's session, with KillUserProcesses=yes", async () => {
    const other = 'setsid sleep 31415 >/dev/null 2>&1 &';
    const script = `cat /proc/self/cgroup; coracle run -d --name session host-shell sleep 100000; ${other}`;
    const output = run('su', '-l', 'root', '-c', script);
    const session = /session-\w+\.scope/.exec(output)?.[0];
    assert.ok(session, output);
    await until(() => unitPids(`user.slice/user-0.slice/${session}`).length === 0);
    assertOnTheirOwn('session');
  });

  await fact('it survives loginctl terminate-user', async () => {
    const script = 'coracle run -d --name user host-shell sleep 100000; exec sleep 31415';
    run('systemd-run', '--quiet', '--unit=login', 'su', '-l', 'root', '-c', script);
    await until(() => isMade('user') && stateOf('user') === 'running');
    run('loginctl', 'terminate-user', 'root');
    await until(() => run('loginctl', 'list-sessions', '--no-legend') === '');
    assertOnTheirOwn('user');
  });

  await fact('limits hold across a reload of systemd, which manages the tree above', () => {
    detached('limited', '--memory', '64m', '--pids-limit', '20', '--cpus', '0.5');
    const file = `coracle/${idOf('limited')}/${IS_V2 ? 'memory.max' : 'memory.limit_in_bytes'}`;
    assert.equal(text(`${LIMITS}/${file}`).trim(), String(64 * 1024 ** 2));
    systemctl('daemon-reload');
    systemctl('daemon-reexec');
    run('systemd-run', '--quiet', '--wait', '-p', 'MemoryMax=50M', '-p', 'CPUWeight=50', 'true');
    assert.equal(text(`${LIMITS}/${file}`).trim(), String(64 * 1024 ** 2));
    const pids = `/sys/fs/cgroup/${IS_V2 ? '' : 'pids/'}pids.max`;
    assert.equal(coracle('exec', 'limited', 'cat', pids), '20');
    coracle('rm', '-f', 'limited');
  });

  await fact('a paused container can be stopped, killed and removed', () => {
    for (const [name, end] of [
      ['to-stop', ['stop', '-t', '0']],
      ['to-kill', ['kill']],
      ['to-remove', ['rm', '-f']],
    ]) {
      detached(name);
      coracle('pause', name);
      assert.equal(stateOf(name), 'paused');
      coracle(...end, name);
      if (name !== 'to-remove') {
        coracle('wait', name);
        assert.equal(stateOf(name), 'exited');
        coracle('rm', name);
      }
    }
  });

  await fact('systemd-analyze has nothing to say against the generated unit', () => {
    writeFileSync('/etc/systemd/system/coracle.service', `${coracle('generate', 'systemd')}\n`);
    const {status, stdout, stderr} = spawnSync(
      'systemd-analyze',
      ['verify', '/etc/systemd/system/coracle.service'],
      {encoding: 'utf8'},
    );
    assert.deepEqual({status, stdout, stderr}, {status: 0, stdout: '', stderr: ''});
    systemctl('enable', '--now', 'coracle.service');
    assert.equal(systemctl('is-active', 'coracle.service'), 'active');
  });

  await fact(
    'with the unit, containers whose monitors are killed run again at once, on their own',
    async () => {
      const names = ['always-up', 'unless-up', 'failing-up'];
      const policies = ['always', 'unless-stopped', 'on-failure'];
      for (const [index, name] of names.entries()) detached(name, '--restart', policies[index]);
      detached('plain', '--restart', 'no');
      const ids = [...names, 'plain'].map(idOf);
      const monitors = ids.map(monitorOf);
      for (const monitor of monitors) process.kill(monitor, 'SIGKILL');
      // Files are looked at, no store is opened: whoever opens one would start them as well.
      const isNew = index =>
        !monitors.includes(monitorOf(ids[index])) && containerPids(ids[index]).length > 0;
      await until(() => [0, 1, 2].every(isNew));
      assertOnTheirOwn(...names);
      assert.equal(stateOf('plain'), 'exited');
      assert.equal(coracle('inspect', '--format', '{{.State.ExitCode}}', 'plain'), '255');
    },
  );

  await fact('what was stopped stays stopped, although the unit is told', async () => {
    detached('always-down', '--restart', 'always');
    detached('unless-down', '--restart', 'unless-stopped');
    coracle('stop', '-t', '0', 'always-down', 'unless-down');
    // A loss that comes after them: when it has been seen to, so have they.
    const before = monitorOf(idOf('always-up'));
    process.kill(before, 'SIGKILL');
    await until(() => ![before, Number.NaN].includes(monitorOf(idOf('always-up'))));
    assert.deepEqual(statesOf('always-down', 'unless-down'), ['exited', 'exited']);
  });

  await fact('stopping the unit leaves the containers alone', () => {
    systemctl('stop', 'coracle.service');
    assertOnTheirOwn('always-up', 'unless-up', 'failing-up');
  });
}

async function afterReboot() {
  await fact(
    'after a reboot what its policy wants runs again, on its own: always even what was stopped',
    () => {
      assert.equal(systemctl('is-active', 'coracle.service'), 'active');
      assertOnTheirOwn('always-up', 'always-down', 'unless-up', 'failing-up');
    },
  );

  await fact('the others do not run, and read how they ended', () => {
    const others = ['unless-down', 'plain', 'served', 'session', 'user'];
    assert.deepEqual(
      statesOf(...others),
      others.map(() => 'exited'),
    );
    assert.equal(containerCgroups().length, 4);
  });

  await fact('they can be started, stopped and removed as ever', () => {
    coracle('start', 'served');
    assertOnTheirOwn('served');
    coracle('rm', '-f', ...coracle('ps', '-aq').split('\n'));
    assert.equal(coracle('ps', '-aq'), '');
    assert.deepEqual(containerCgroups(), []);
  });

  await fact('no unit has failed', () => assert.equal(systemctl('--failed', '--no-legend'), ''));
}

// How this ends is what the machine does next: coracle-facts.service.
if (existsSync(ONCE_BOOTED)) {
  await afterReboot();
  appendFileSync(TAP, `1..${count}\n`);
  writeFileSync('/results/done', '');
  process.exitCode = 1;
} else {
  writeFileSync(ONCE_BOOTED, '');
  await beforeReboot();
}
