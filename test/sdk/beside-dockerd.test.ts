import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {Container, Image, type Runtime} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {configuredRuntime} from '../helpers/configured-runtime.js';
import {aNeighbour} from '../helpers/neighbour.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const withDockerd = requiresAsRoot('/usr/sbin/dockerd', 'docker.io');
const nft = (...words: string[]) =>
  execFileSync('/usr/sbin/nft', words, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']});

withDockerd('a dockerd with containers of its own and we do not disturb each other', async t => {
  const docker = await startDockerd(t);
  docker('run', '--detach', '--name', 'theirs', '--publish', '8094:80', 'server', '/server');
  docker('run', '--detach', '--name', 'hidden', 'server', '/server');
  const theirAddress = docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', 'hidden');
  const neighbour = await aNeighbour(t);
  const asks = (address: string, port: number) => neighbour.ask(address, port, 'who?');
  t.is(asks(neighbour.us, 8094), neighbour.them);
  const before = nft('--stateless', 'list', 'ruleset');

  const strict = await openedIn('strict');
  const ours = await Container.run(
    'server',
    {command: [SERVER], ports: [{containerPort: 80, hostPort: 8093}]},
    {runtime: strict},
  );
  const {IPAddress, Gateway} = (await ours.inspect()).NetworkSettings;
  t.not(IPAddress.split('.').slice(0, 2).join('.'), theirAddress.split('.').slice(0, 2).join('.'));
  t.deepEqual(ours.warnings, [
    'what the container sends to other hosts is dropped by chain FORWARD of table ip filter (policy drop); see coracle doctor',
  ]);
  t.is(asks(neighbour.us, 8093), Gateway, 'published all the same, by the forwarder');
  t.is(asks(neighbour.us, 8094), neighbour.them, "theirs is reached as before, by its client's own address");
  t.is(await reaches(strict, theirAddress), 'no', 'what they did not publish is as closed to us as before');
  t.is(docker('run', '--rm', 'server', '/server', Gateway, '8094'), 'yes', 'theirs reach the host as before');
  await ours[Symbol.asyncDispose]();
  await strict.close();
  t.is(nft('--stateless', 'list', 'ruleset'), before, 'our rules are gone, theirs untouched');

  const allowed = await openedIn('allowed', {'allow-forwarding': true});
  const first = await Container.run(
    'server',
    {command: [SERVER], ports: [{containerPort: 80, hostPort: 8093}]},
    {runtime: allowed},
  );
  t.deepEqual(first.warnings, []);
  t.is(asks(neighbour.us, 8093), neighbour.them, 'now by the kernel');
  const beside = (await first.inspect()).NetworkSettings.IPAddress;
  t.is(await reaches(allowed, beside), 'yes', 'ours reach each other');
  t.is(await reaches(allowed, neighbour.them, 9), 'refused', 'and other hosts');
  t.is(await reaches(allowed, theirAddress), 'no');
  docker('restart', '--time', '0', 'theirs');
  t.is(asks(neighbour.us, 8094), neighbour.them);
  await first[Symbol.asyncDispose]();
  await allowed.close();
  t.is(nft('--stateless', 'list', 'ruleset'), before);
});

/** Tells each client its address; with arguments it is a client that says whether it gets through. */
const SOURCE = `
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
        int file = socket(AF_INET, SOCK_STREAM, 0);
        if (argc == 3) {
                struct timeval patience = {.tv_sec = 2};
                setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
                inet_pton(AF_INET, argv[1], &at.sin_addr);
                at.sin_port = htons((unsigned short)atoi(argv[2]));
                int result = connect(file, (struct sockaddr *)&at, sizeof at);
                puts(result == 0 ? "yes" : errno == ECONNREFUSED ? "refused" : "no");
                return 0;
        }
        if (bind(file, (struct sockaddr *)&at, sizeof at) != 0 || listen(file, 8) != 0)
                return 1;
        puts("ready");
        fflush(stdout);
        for (;;) {
                socklen_t size = sizeof at;
                char text[64];
                int client = accept(file, (struct sockaddr *)&at, &size);
                if (read(client, text, sizeof text) > 0)
                        dprintf(client, "%s", inet_ntop(AF_INET, &at.sin_addr, text, sizeof text));
                close(client);
        }
}
`;

const folder = mkdtempSync(join(own.folder, 'server-'));
const SERVER = join(folder, 'server');

/** Whether a new container gets a connection. */
async function reaches(runtime: Runtime, address: string, port = 80): Promise<string> {
  const client = await Container.run(
    'server',
    {network: 'bridge', command: [SERVER, address, String(port)]},
    {runtime},
  );
  const answer = await textOf(client.stdout!);
  await client.settled;
  return answer.trim();
}

/** With an image `server`, in this network. */
async function startDockerd(t: ExecutionContext): Promise<(...words: string[]) => string> {
  compileC(folder, 'server', SOURCE, '-static');
  execFileSync('tar', ['-C', folder, '-cf', join(folder, 'server.tar'), 'server']);
  const path = join(own.folder, 'docker');
  mkdirSync(path);
  const places = ['--data-root', `${path}/data`, '--exec-root', `${path}/exec`, '--pidfile', `${path}/pid`];
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '0'); // dockerd refuses what is forwarded where it switches that on
  const log = openSync(`${path}/log`, 'w');
  const dockerd = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', 'dockerd', ...places, '--host', `unix://${path}/socket`],
    {stdio: ['ignore', log, log]},
  );
  const ended = once(dockerd, 'exit');
  const env = {...process.env, DOCKER_HOST: `unix://${path}/socket`};
  const docker = (...words: string[]) =>
    execFileSync('docker', words, {encoding: 'utf8', stdio: 'pipe', env}).trim();
  t.teardown(async () => {
    docker('rm', '--force', 'theirs', 'hidden');
    dockerd.kill('SIGTERM');
    await ended;
  });
  for (;;) {
    try {
      docker('version');
      break;
    } catch (error) {
      if (dockerd.exitCode !== null) throw new Error(readFileSync(`${path}/log`, 'utf8'), {cause: error});
      await sleep(100);
    }
  }
  docker('import', join(folder, 'server.tar'), 'server');
  return docker;
}

/** A runtime of its own with an image `server`. */
async function openedIn(name: string, configuration: object = {}): Promise<Runtime> {
  const runtime = await configuredRuntime(own.folder, name, configuration);
  await Image.fromHost({name: 'server', binaries: [SERVER]}, {runtime});
  return runtime;
}
