import type {IncomingMessage, ServerResponse} from 'node:http';
import {buffer} from 'node:stream/consumers';
import test, {type ExecutionContext} from 'ava';
import {type Credentials, fetchManifest, listTags, Registry} from '../../src/registry/index.js';
import {type FrontOptions, HttpFront, type Interference} from '../helpers/http-front.js';

const ADA: Credentials = {username: 'ada', password: 'very secret'};
const BASIC = `Basic ${Buffer.from('ada:very secret').toString('base64')}`;
const QUICK = {attempts: 2, pauseMs: 1, longestMs: 50};

async function front(t: ExecutionContext, options: FrontOptions): Promise<HttpFront> {
  const started = await HttpFront.start(options);
  t.teardown(() => started[Symbol.asyncDispose]());
  return started;
}

function client(t: ExecutionContext, {name}: HttpFront, credentials?: Credentials): Registry {
  const registry = new Registry(name, {credentials: async () => credentials, retry: QUICK});
  t.teardown(() => registry[Symbol.dispose]());
  return registry;
}

/** A registry that wants tokens of a server, and has tags. */
function wantsToken(realm: () => string, isValid: (token: string) => boolean): Interference {
  return ({headers}, response) => {
    const [, token] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
    if (token !== undefined && isValid(token)) response.end('{"tags":["a"]}');
    else {
      response.writeHead(401, {'www-authenticate': `Bearer realm="${realm()}",service="reg.example"`});
      response.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
    }
    return true;
  };
}

function answer(response: ServerResponse, body: object): true {
  response.end(JSON.stringify(body));
  return true;
}

test('a token is asked for once for each scope, with the credentials, and used until it expires', async t => {
  let made = 0;
  const tokens = await front(t, {
    interfere: (_, response) => answer(response, {token: `t${++made}`, expires_in: 300}),
  });
  const registry = await front(t, {
    interfere: wantsToken(
      () => `http://${tokens.name}/token`,
      token => token.startsWith('t'),
    ),
  });
  const ada = client(t, registry, ADA);
  await listTags(ada, 'x');
  await listTags(ada, 'x');
  await listTags(ada, 'y');
  t.deepEqual(tokens.asked, [
    'GET /token?service=reg.example&scope=repository%3Ax%3Apull&account=ada',
    'GET /token?service=reg.example&scope=repository%3Ay%3Apull&account=ada',
  ]);
  t.deepEqual(
    tokens.seen.map(({headers}) => headers.authorization),
    [BASIC, BASIC],
  );
  t.true(
    registry.seen.every(({headers}) => headers.authorization !== BASIC),
    'the registry itself never saw them',
  );
});

test('a token that expired, or that the registry no longer takes, is replaced', async t => {
  let made = 0;
  let valid = 't1';
  const tokens = await front(t, {interfere: (_, response) => answer(response, {access_token: `t${++made}`})});
  const registry = await front(t, {
    interfere: wantsToken(
      () => `http://${tokens.name}/`,
      token => token === valid,
    ),
  });
  const ada = client(t, registry, ADA);
  await listTags(ada, 'x');
  valid = 't2';
  t.deepEqual(await listTags(ada, 'x'), ['a']);
  t.is(made, 2);
});

test('an identity token is sent in a form, not in an address', async t => {
  let form = '';
  const tokens = await front(t, {
    interfere: async (request, response) => {
      form = String(await buffer(request));
      return answer(response, {access_token: 't'});
    },
  });
  const registry = await front(t, {
    interfere: wantsToken(
      () => `http://${tokens.name}/`,
      () => true,
    ),
  });
  await listTags(client(t, registry, {identityToken: 'idt'}), 'x');
  t.is(tokens.asked[0], 'POST /');
  t.deepEqual(Object.fromEntries(new URLSearchParams(form)), {
    grant_type: 'refresh_token',
    refresh_token: 'idt',
    client_id: 'coracle',
    service: 'reg.example',
    scope: 'repository:x:pull',
  });
});

test('a registry that takes no token is told so after two, in its own words', async t => {
  const tokens = await front(t, {interfere: (_, response) => answer(response, {token: 't'})});
  const registry = await front(t, {
    interfere: wantsToken(
      () => `http://${tokens.name}/`,
      () => false,
    ),
  });
  await t.throwsAsync(listTags(client(t, registry, ADA), 'x'), {
    code: 'ERR_REGISTRY_DENIED',
    message: 'unauthorized: authentication required',
  });
  t.is(tokens.seen.length, 2);
});

for (const [what, body] of [
  ['no token', '{}'],
  ['a token that would end a header', '{"token":"a\\r\\nX-Evil: 1"}'],
  ['no JSON', 'nope'],
  ['megabytes', JSON.stringify({token: 'x'.repeat(2_000_000)})],
] as const) {
  test(`a token server that gives ${what} is not believed`, async t => {
    const tokens = await front(t, {interfere: (_, response) => Boolean(response.end(body))});
    const registry = await front(t, {
      interfere: wantsToken(
        () => `http://${tokens.name}/`,
        () => true,
      ),
    });
    await t.throwsAsync(listTags(client(t, registry, ADA), 'x'), {code: 'ERR_REGISTRY_RESPONSE'});
  });
}

test('a token server that wants to send us on gets no credentials there', async t => {
  const elsewhere = await front(t, {interfere: (_, response) => answer(response, {token: 't'})});
  const tokens = await front(t, {
    interfere: (_, response) =>
      Boolean(response.writeHead(307, {location: `http://${elsewhere.name}/`}).end()),
  });
  const registry = await front(t, {
    interfere: wantsToken(
      () => `http://${tokens.name}/`,
      () => true,
    ),
  });
  await t.throwsAsync(listTags(client(t, registry, ADA), 'x'), {code: 'ERR_REGISTRY_RESPONSE'});
  t.is(elsewhere.seen.length, 0);
});

test('another host that a registry sends us on to gets neither credentials nor token, nor does the way back', async t => {
  const seen: IncomingMessage['headers'][] = [];
  const elsewhere = await front(t, {
    interfere: ({headers}, response) => {
      seen.push(headers);
      return Boolean(response.writeHead(302, {location: `http://${registry.name}/back`}).end());
    },
  });
  const registry: HttpFront = await front(t, {
    interfere: ({url, headers}, response) => {
      if (url === '/back') {
        seen.push(headers);
        response.end('{"tags":["a"]}');
      } else if (headers.authorization !== BASIC) {
        response.writeHead(401, {'www-authenticate': 'Basic realm="x"'}).end();
      } else if (url === '/v2/') response.end();
      else response.writeHead(307, {location: `http://user:pw@${elsewhere.name}/blob`}).end();
      return true;
    },
  });
  t.deepEqual(await listTags(client(t, registry, ADA), 'x'), ['a']);
  t.is(seen.length, 2);
  for (const {authorization} of seen) t.is(authorization, undefined);
});

test('what another host says of authentication is not listened to', async t => {
  const thief = await front(t, {interfere: (_, response) => answer(response, {token: 't'})});
  const elsewhere = await front(t, {
    interfere: wantsToken(
      () => `http://${thief.name}/`,
      () => false,
    ),
  });
  const registry = await front(t, {
    interfere: ({url}, response) => {
      if (url === '/v2/') response.end();
      else response.writeHead(302, {location: `http://${elsewhere.name}/`}).end();
      return true;
    },
  });
  await t.throwsAsync(listTags(client(t, registry, ADA), 'x'), {code: 'ERR_REGISTRY_DENIED'});
  t.is(thief.seen.length, 0);
});

test('redirects that lead in a circle end', async t => {
  const registry: HttpFront = await front(t, {
    interfere: ({url}, response) => {
      if (url === '/v2/') response.end();
      else response.writeHead(302, {location: '/again'}).end();
      return true;
    },
  });
  await t.throwsAsync(listTags(client(t, registry), 'x'), {message: /sent us on more than 5 times/});
  t.true(registry.seen.length < 10);
});

test('a registry that wants what we cannot do, or says it badly, is told by name', async t => {
  for (const header of ['Negotiate', 'Bearer realm="x']) {
    const registry = await front(t, {
      interfere: (_, response) => Boolean(response.writeHead(401, {'www-authenticate': header}).end()),
    });
    await t.throwsAsync(listTags(client(t, registry, ADA), 'x'), {code: 'ERR_REGISTRY_RESPONSE'});
  }
});

test('without credentials a registry that wants some is told in words of Docker', async t => {
  const registry = await front(t, {
    interfere: (_, response) =>
      Boolean(response.writeHead(401, {'www-authenticate': 'Basic realm="x"'}).end()),
  });
  await t.throwsAsync(fetchManifest(client(t, registry), 'x', 'latest'), {
    code: 'ERR_REGISTRY_DENIED',
    message: 'no basic auth credentials',
  });
});

test('no error has a password or a token in it', async t => {
  const tokens = await front(t, {
    interfere: (_, response) =>
      Boolean(response.writeHead(401).end('{"details":"incorrect username or password"}')),
  });
  const registry = await front(t, {
    interfere: wantsToken(
      () => `http://u:p@${tokens.name}/`,
      () => true,
    ),
  });
  const error = await t.throwsAsync(listTags(client(t, registry, ADA), 'x'), {
    code: 'ERR_REGISTRY_DENIED',
    message: 'unknown: incorrect username or password',
  });
  const told = JSON.stringify({...error, message: error!.message, stack: error!.stack});
  for (const secret of ['very secret', BASIC.slice(6)]) t.false(told.includes(secret));
});
