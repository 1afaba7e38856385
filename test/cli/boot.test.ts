import test from 'ava';
import {command} from './recording-sdk.js';

test('boot names what it started, and ends with 1 when something could not be', async t => {
  const boot = (failed: readonly string[]) => ({boot: async () => ({started: ['web', 'db'], failed})});
  t.like(await command(['boot'], boot([])), {exitCode: 0, stdout: 'web\ndb\n'});
  t.like(await command(['boot'], boot(['job'])), {exitCode: 1, stdout: 'web\ndb\n'});
});

test('generate systemd writes a unit that runs boot, with the roots of this environment', async t => {
  const env = {CORACLE_ROOT: '/srv/50% of it'};
  const {stdout, asked} = await command(['generate', 'systemd'], {}, {env});
  t.regex(stdout, /^Type=oneshot\nRemainAfterExit=yes\n/m);
  t.regex(stdout, /^Environment="CORACLE_ROOT=\/srv\/50%% of it"\n/m);
  t.regex(stdout, /^ExecStart=\S+ \S+ boot$/m);
  t.regex(stdout, /^WantedBy=multi-user\.target$/m);
  t.deepEqual(asked, []);
});
