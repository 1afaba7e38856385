import test from 'ava';
import {command} from './recording-sdk.js';

const WATCHING = {root: '/srv/50% of it', file: '/srv/50% of it/alive', program: '/opt/$1/coracle-watch'};

test('boot names what it started, and ends with 1 when something could not be', async t => {
  const boot = (failed: readonly string[]) => ({boot: async () => ({started: ['web', 'db'], failed})});
  const all = await command(['boot'], boot([]));
  t.like(all, {exitCode: 0, stdout: 'web\ndb\n'});
  t.deepEqual(all.asked, [['boot', {lost: false}]]);
  t.like(await command(['boot'], boot(['job'])), {exitCode: 1, stdout: 'web\ndb\n'});
  t.deepEqual((await command(['boot', '--lost'], boot([]))).asked, [['boot', {lost: true}]]);
});

test('generate systemd writes a unit that runs boot, and again for what lost its monitor', async t => {
  const {stdout} = await command(
    ['generate', 'systemd'],
    {watching: async () => WATCHING},
    {env: {CORACLE_RUN: '/run/here'}},
  );
  t.regex(stdout, /^RequiresMountsFor="\/srv\/50%% of it"\n/m);
  t.regex(stdout, /^Environment="CORACLE_ROOT=\/srv\/50%% of it"\nEnvironment=CORACLE_RUN=\/run\/here\n/m);
  t.regex(stdout, /^ExecStartPre=-\S+ \S+ boot$/m);
  t.regex(
    stdout,
    /^ExecStart="\/opt\/\$\$1\/coracle-watch" "\/srv\/50%% of it\/alive" \S+ \S+ boot --lost$/m,
  );
  t.regex(stdout, /^WantedBy=multi-user\.target$/m);
});
