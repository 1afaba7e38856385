import {readFileSync} from 'node:fs';
import type {RunOptions} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {loadLayered} from '../helpers/layered-image.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

const WHO = `
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
        gid_t groups[64];
        int count = getgroups(64, groups);
        printf("%d:%d", getuid(), getgid());
        for (int i = 0; i < count; i++) printf(" %d", groups[i]);
        printf(" %s\\n", getenv("HOME"));
        return access("/root-only", R_OK) == 0;
}`;

const PASSWD = `root:x:0:0:root:/root:/bin/sh
worker:x:1000:1000::/home/worker:/bin/sh
1001:x:4:5::/named-like-a-number:/bin/sh
`;
const GROUP = `root:x:0:
worker:x:1000:
audio:x:29:worker
video:x:44:other, worker
`;

let made: Promise<unknown> | undefined;

async function who(options: RunOptions, config = {}): Promise<string> {
  made ??= own.runtime.then(async runtime => {
    const content = readFileSync(compileC(own.folder, 'who', WHO, '-static'));
    const layer = [
      {path: 'who', mode: 0o755, content},
      {path: 'root-only', mode: 0o600, content: 'x'},
      {path: 'etc', type: 'directory'},
      {path: 'etc/passwd', content: PASSWD},
      {path: 'etc/group', content: GROUP},
    ] as const;
    await loadLayered(runtime, 'people', [layer], {Cmd: ['/who']});
    await loadLayered(runtime, 'people-worker', [layer], {Cmd: ['/who'], User: 'worker'});
  });
  await made;
  const container = await own.run(options, 'User' in config ? 'people-worker' : 'people');
  return (await container.exit).lastOutput.stdout.trimEnd();
}

/** What was asked for; uid:gid, groups and HOME that the program finds. As dockerd's, which were recorded for four of them. */
const ROWS: readonly (readonly [what: string, options: RunOptions, found: string])[] = [
  ['no user', {}, '0:0 0 /root'],
  ['a uid and a gid', {user: '1000:1000'}, '1000:1000 1000 /home/worker'],
  ['a name', {user: 'worker'}, '1000:1000 1000 29 44 /home/worker'],
  ['a uid that the image knows', {user: '1000'}, '1000:1000 1000 29 44 /home/worker'],
  ['a uid that the image does not know', {user: '4321'}, '4321:0 0 /'],
  ['a name and a group', {user: 'worker:audio'}, '1000:29 29 /home/worker'],
  ['a name that looks like a number', {user: '1001'}, '4:5 5 /named-like-a-number'],
  ['a group alone', {user: ':29'}, '0:29 29 /root'],
  ['the highest id', {user: '2147483647:2147483647'}, '2147483647:2147483647 2147483647 /'],
  ['further groups', {user: 'worker', groups: ['55', 'audio']}, '1000:1000 1000 29 44 55 /home/worker'],
  ['a HOME of its own', {user: 'worker', env: {HOME: '/mine'}}, '1000:1000 1000 29 44 /mine'],
  ['an empty HOME', {user: 'worker', env: {HOME: ''}}, '1000:1000 1000 29 44 /home/worker'],
  ['a group alone', {user: ':5'}, '0:5 5 /root'],
  ['more than a user and a group', {user: '4321:2:3'}, '4321:2 2 /'],
];

for (const [what, options, found] of ROWS) {
  asRoot(`${what}: uid, gid, groups and HOME are ${found}`, async t => {
    t.is(sorted(await who(options)), sorted(found));
  });
}

asRoot('the image’s user counts unless the options name one', async t => {
  t.is(sorted(await who({}, {User: 'worker'})), sorted('1000:1000 1000 29 44 /home/worker'));
  t.is(await who({user: '0'}, {User: 'worker'}), '0:0 0 /root');
});

asRoot('a user other than root cannot read what is root’s', async t => {
  await who({}); // makes the image
  const container = await own.run({user: 'worker'}, 'people');
  t.like(await container.exit, {kind: 'code', code: 0});
});

/** The order of supplementary groups means nothing. */
function sorted(line: string): string {
  const [ids, ...rest] = line.split(' ');
  const home = rest.pop();
  return [ids, ...rest.map(Number).sort((a, b) => a - b), home].join(' ');
}
