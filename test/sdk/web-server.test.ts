import {once} from 'node:events';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Container, Image} from '../../src/index.js';
import {aNeighbour} from '../helpers/neighbour.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const withIp = requiresAsRoot('/usr/sbin/ip', 'iproute2');

/** `GET /` of the files in /site; what is to be written there is refused. */
const SERVER = `
  const fs = require('fs');
  require('http').createServer((request, response) => {
    if (request.method === 'PUT') {
      try { fs.writeFileSync('/site' + request.url, 'theirs'); } catch (error) { response.statusCode = 403; response.end(error.code); return; }
    }
    response.end(fs.readFileSync('/site' + request.url));
  }).listen(80, '0.0.0.0', () => console.log('ready'));
`;
const FETCH = `
  fetch(process.argv[1], {method: process.argv[2]}).then(r => r.text()).then(console.log);
`;

withIp(
  'a web server with -p 88:80 and its files bound read-only is fetched from wherever it should be',
  async t => {
    const runtime = await own.runtime;
    const site = join(own.folder, 'site');
    mkdirSync(site);
    writeFileSync(join(site, 'index.html'), '<h1>hello</h1>');
    await Image.fromHost({name: 'web-server', binaries: [process.execPath]}, {runtime});
    await using web = await Container.run(
      'web-server',
      {
        command: [process.execPath, '-e', SERVER],
        ports: [{hostPort: 88, containerPort: 80}],
        mounts: [{type: 'bind', source: site, target: '/site', readOnly: true}],
        sysctls: {'net.ipv4.ip_unprivileged_port_start': '0'},
      },
      {runtime},
    );
    await once(web.stdout!, 'data');
    const neighbour = await aNeighbour(t);
    const fetched = async (host: string) => (await fetch(`http://${host}:88/index.html`)).text();
    t.is(await fetched('127.0.0.1'), '<h1>hello</h1>');
    t.is(await fetched('[::1]'), '<h1>hello</h1>');
    t.is(await fetched(neighbour.us), '<h1>hello</h1>', "the host's own address");
    const elsewhere = (method: string) =>
      neighbour.run(process.execPath, '-e', FETCH, `http://${neighbour.us}:88/index.html`, method);
    t.is(elsewhere('GET'), '<h1>hello</h1>', 'another host');
    t.is(elsewhere('PUT'), 'EROFS');
    writeFileSync(join(site, 'index.html'), '<h1>changed</h1>');
    t.is(elsewhere('GET'), '<h1>changed</h1>');
  },
);
