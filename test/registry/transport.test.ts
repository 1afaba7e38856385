import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import http from 'node:http';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {listTags, Registry, type RegistrySettings} from '../../src/registry/index.js';
import {certificatesFor} from '../../src/sdk/registry-certificates.js';
import {HttpFront, type Interference} from '../helpers/http-front.js';
import {requires} from '../helpers/requires.js';

const folder = mkdtempSync(join(tmpdir(), 'coracle-tls-'));
test.after.always(() => rmSync(folder, {recursive: true, force: true}));
const withOpenssl = requires('openssl', 'openssl');
const RETRY = {attempts: 1, pauseMs: 1, longestMs: 1};

/** An authority, and somebody whose certificate it signed. @returns paths without their endings */
function certificate(name: string, by?: string): string {
  const path = join(folder, name);
  const openssl = (...argv: string[]) => execFileSync('openssl', argv, {stdio: 'ignore'});
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${path}.key`];
  if (by === undefined) {
    openssl('req', '-x509', ...key, '-out', `${path}.crt`, '-days', '2', '-subj', `/CN=${name}`);
    return path;
  }
  openssl('req', ...key, '-out', `${path}.csr`, '-subj', `/CN=${name}`);
  writeFileSync(`${path}.ext`, 'subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1\n');
  const issuer = ['-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial'];
  openssl(
    'x509',
    '-req',
    '-in',
    `${path}.csr`,
    ...issuer,
    '-out',
    `${path}.crt`,
    '-days',
    '2',
    '-extfile',
    `${path}.ext`,
  );
  return path;
}

const TAGS: Interference = ({url}, response) => {
  response.end(url === '/v2/' ? '{}' : '{"tags":["a"]}');
  return true;
};

async function front(
  t: ExecutionContext,
  options: Parameters<typeof HttpFront.start>[0],
): Promise<HttpFront> {
  const started = await HttpFront.start(options);
  t.teardown(() => started[Symbol.asyncDispose]());
  return started;
}

function client(t: ExecutionContext, name: string, settings: RegistrySettings): Registry {
  const registry = new Registry(name, {retry: RETRY, ...settings});
  t.teardown(() => registry[Symbol.dispose]());
  return registry;
}

withOpenssl(
  'a registry proves who it is by an authority of certs.d, and is not believed by any other',
  async t => {
    const [ca, other] = [certificate('ca'), certificate('other-ca')];
    const server = certificate('server', ca);
    const {name} = await front(t, {
      interfere: TAGS,
      tls: {cert: readFileSync(`${server}.crt`, 'utf8'), key: readFileSync(`${server}.key`, 'utf8')},
    });
    const directory = (authority: string) => {
      const certs = mkdtempSync(join(folder, 'certs.d-'));
      mkdirSync(join(certs, name));
      writeFileSync(join(certs, name, 'ca.crt'), readFileSync(`${authority}.crt`));
      return {tlsFor: (host: string) => certificatesFor(host, [certs])};
    };
    t.deepEqual(await listTags(client(t, name, directory(ca)), 'x'), ['a']);
    await t.throwsAsync(listTags(client(t, name, directory(other)), 'x'), {
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: /^Get "https:.*": x509: /,
    });
  },
);

withOpenssl('a registry that wants to know us gets the certificate of certs.d', async t => {
  const ca = certificate('ca-of-both');
  const [server, user] = [certificate('known-server', ca), certificate('known-user', ca)];
  const seen: string[] = [];
  const {name} = await front(t, {
    interfere: (request, response) => {
      const {subject} = (request.socket as import('node:tls').TLSSocket).getPeerCertificate();
      seen.push(String(subject?.CN));
      return TAGS(request, response);
    },
    tls: {
      cert: readFileSync(`${server}.crt`, 'utf8'),
      key: readFileSync(`${server}.key`, 'utf8'),
      ca: readFileSync(`${ca}.crt`, 'utf8'),
      requestCert: true,
    },
  });
  const certs = join(folder, 'certs.d');
  mkdirSync(join(certs, name), {recursive: true});
  const put = (file: string, from: string) => writeFileSync(join(certs, name, file), readFileSync(from));
  put('ca.crt', `${ca}.crt`);
  put('client.cert', `${user}.crt`);
  t.throws(() => certificatesFor(name, [certs]), {
    code: 'ERR_CERTIFICATE',
    message: /missing key client.key/,
  });
  put('client.key', `${user}.key`);
  t.deepEqual(await listTags(client(t, name, {tlsFor: host => certificatesFor(host, [certs])}), 'x'), ['a']);
  t.deepEqual(new Set(seen), new Set(['known-user']));
});

withOpenssl('nobody leads us from TLS to plain HTTP: not a redirect, not a token server', async t => {
  const ca = certificate('ca-of-one');
  const server = certificate('leading-server', ca);
  const tls = {cert: readFileSync(`${server}.crt`, 'utf8'), key: readFileSync(`${server}.key`, 'utf8')};
  const tlsFor = () => ({ca: [readFileSync(`${ca}.crt`)], isNamed: true as const});
  const plain = await front(t, {interfere: TAGS});
  const redirecting = await front(t, {
    interfere: ({url}, response) => {
      if (url === '/v2/') response.end('{}');
      else response.writeHead(302, {location: `http://${plain.name}/`}).end();
      return true;
    },
    tls,
  });
  await t.throwsAsync(listTags(client(t, redirecting.name, {tlsFor}), 'x'), {
    code: 'ERR_REGISTRY_RESPONSE',
    message: /sent us on to an address without TLS/,
  });
  const challenge = {'www-authenticate': `Bearer realm="http://${plain.name}/token"`};
  const asking = await front(t, {
    interfere: (_, response) => Boolean(response.writeHead(401, challenge).end()),
    tls,
  });
  const credentials = async () => ({username: 'ada', password: 'secret'});
  await t.throwsAsync(listTags(client(t, asking.name, {tlsFor, credentials}), 'x'), {
    code: 'ERR_REGISTRY_RESPONSE',
    message: /token server without TLS/,
  });
  t.is(plain.seen.length, 0);
});

withOpenssl(
  'a proxy carries TLS through CONNECT and plain HTTP by whole addresses, and is told its own password alone',
  async t => {
    const ca = certificate('ca-behind');
    const server = certificate('server-behind', ca);
    const secure = await front(t, {
      interfere: TAGS,
      tls: {cert: readFileSync(`${server}.crt`, 'utf8'), key: readFileSync(`${server}.key`, 'utf8')},
    });
    const plain = await front(t, {interfere: TAGS});
    const asked: string[] = [];
    const proxy = http.createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
      const onward = http.get({port: plain.port, path: new URL(request.url!).pathname}, answer =>
        answer.pipe(response),
      );
      onward.on('error', () => response.destroy());
    });
    proxy.on('connect', (request, socket) => {
      asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
      if (!request.url!.startsWith('registry.test')) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      const onward = connect(secure.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy());
    });
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      proxy.close();
      proxy.closeAllConnections();
    });
    const {port} = proxy.address() as import('node:net').AddressInfo;
    const address = `http://user:p%40ss@127.0.0.1:${port}`;
    const env = {HTTP_PROXY: address, HTTPS_PROXY: address};
    const own = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
    const tlsFor = () => ({ca: [readFileSync(`${ca}.crt`)]});
    t.deepEqual(await listTags(client(t, 'registry.test:443', {env, tlsFor}), 'x'), ['a']);
    t.deepEqual(new Set(asked), new Set([`CONNECT registry.test:443 ${own}`]));
    t.true(secure.seen.every(({headers}) => headers['proxy-authorization'] === undefined));
    asked.length = 0;
    t.deepEqual(await listTags(client(t, 'plain.test:5000', {env, insecure: ['plain.test:5000']}), 'x'), [
      'a',
    ]);
    t.deepEqual(asked, [
      `CONNECT plain.test:5000 ${own}`,
      `GET http://plain.test:5000/v2/ ${own}`,
      `GET http://plain.test:5000/v2/x/tags/list?n=1000 ${own}`,
    ]);
    await t.throwsAsync(listTags(client(t, 'plain.test:5000', {env}), 'x'), {
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: /the proxy 127\.0\.0\.1:\d+ answered 403 to CONNECT plain\.test:5000/,
    });
  },
);
