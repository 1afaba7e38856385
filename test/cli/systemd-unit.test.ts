import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {Container} from '../../src/index.js';
import {isRunning} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requires} from '../helpers/requires.js';

/** The unit's commands carried out by hand; under systemd itself: test/vm/run-systemd.sh. */
const own = ownRuntime();
const project = fileURLToPath(new URL('../../', import.meta.url));

for (const [name, words] of [
  ['coracle', []],
  ['coracle-backups', ['--schedule', "/etc/$odd 50% name's.json"]],
] as const)
  requires('systemd-analyze', 'systemd')(`systemd has nothing to say against ${name}.service`, async t => {
    const path = join(own.folder, `${name}.service`);
    writeFileSync(path, await unit(...words));
    const {status, stdout, stderr} = spawnSync('systemd-analyze', ['verify', path], {encoding: 'utf8'});
    t.deepEqual({status, stdout, stderr}, {status: 0, stdout: '', stderr: ''});
  });

asRoot('the unit of a schedule says where its configuration is, whatever that is called', async t => {
  const text = await unit('--schedule', "/etc/$odd 50% name's.json");
  t.regex(text, /^ExecStart=.* schedule --config "\/etc\/\$\$odd 50%% name's\.json"$/m);
  t.regex(text, /^RestartPreventExitStatus=2 75$/m);
});

asRoot('what should run is started again when its monitor dies, what was stopped is not', async t => {
  const runtime = await own.runtime;
  const [stays, stopped] = await Promise.all(
    ['stays', 'stopped'].map(name =>
      Container.runDetached(
        'host-shell',
        {name, command: ['sleep', '600'], restart: {name: 'unless-stopped'}},
        {runtime},
      ),
    ),
  );
  const [, ...words] = /^ExecStart=(.*)$/m.exec(await unit())?.[1]?.split(' ') ?? [];
  const service = spawn(join(project, 'native/build/coracle-watch'), words, {
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(async () => {
    service.kill();
    for (const container of [stays, stopped]) await container!.remove({force: true});
  });
  const told: string[] = [];
  service.stdout.on('data', bytes => told.push(String(bytes)));

  for (const round of [1, 2]) {
    const monitor = monitorOf(stays!);
    if (round === 2) await stopped!.stop({timeoutMs: 0});
    process.kill(monitor, 'SIGKILL');
    // It is in nobody's hands but the service's.
    while (told.join('') !== 'stays\n'.repeat(round)) await sleep(20);
    t.not(monitorOf(stays!), monitor);
    t.true(isRunning(monitorOf(stays!)));
  }
  t.is((await stopped!.state()).status, 'exited');
});

async function unit(...options: readonly string[]): Promise<string> {
  const child = spawn(
    process.execPath,
    [join(project, 'bin/coracle.cjs'), 'generate', 'systemd', ...options],
    {
      env: environment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [stdout] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return stdout;
}

function environment(): NodeJS.ProcessEnv {
  return {...process.env, CORACLE_ROOT: own.root, CORACLE_RUN: own.runDirectory};
}

function monitorOf({id}: Container): number {
  return Number.parseInt(readFileSync(join(own.root, 'containers', id, 'watcher'), 'utf8'), 10);
}
