import test from 'ava';
import {proxyFor} from '../../src/registry/proxy.js';

const PROXIES = {HTTP_PROXY: 'http://plain.example:3128', HTTPS_PROXY: 'http://user:pw@secure.example:3129'};

const goes = test.macro({
  exec(t, url: string, env: Record<string, string>, proxy: string | undefined) {
    t.is(proxyFor(new URL(url), env)?.host, proxy);
  },
  title: (_, url, env, proxy) =>
    `with ${JSON.stringify(env)} ${url} goes ${proxy ? `through ${proxy}` : 'direct'}`,
});

test(goes, 'https://registry.example/', {}, undefined);
test(goes, 'https://registry.example/', PROXIES, 'secure.example:3129');
test(goes, 'http://registry.example/', PROXIES, 'plain.example:3128');
test(goes, 'https://registry.example/', {https_proxy: 'proxy.example:1'}, 'proxy.example:1');
test(goes, 'https://localhost:5000/', PROXIES, undefined);
test(goes, 'https://127.0.0.9:5000/', PROXIES, undefined);
test(goes, 'https://[::1]:5000/', PROXIES, undefined);
test(goes, 'https://a.registry.example/', {...PROXIES, NO_PROXY: 'registry.example'}, undefined);
test(goes, 'https://a.registry.example/', {...PROXIES, NO_PROXY: '.registry.example'}, undefined);
test(goes, 'https://registry.example/', {...PROXIES, NO_PROXY: '.registry.example'}, 'secure.example:3129');
test(goes, 'https://myregistry.example/', {...PROXIES, NO_PROXY: 'registry.example'}, 'secure.example:3129');
test(goes, 'https://10.1.2.3:5000/', {...PROXIES, NO_PROXY: 'x, 10.0.0.0/8'}, undefined);
test(goes, 'https://registry.example:5000/', {...PROXIES, NO_PROXY: 'registry.example:5000'}, undefined);
test(
  goes,
  'https://registry.example/',
  {...PROXIES, NO_PROXY: 'registry.example:5000'},
  'secure.example:3129',
);
test(goes, 'https://registry.example/', {...PROXIES, NO_PROXY: '*'}, undefined);

test('a proxy that is none is refused without repeating its password', t => {
  const error = t.throws(
    () => proxyFor(new URL('https://a.example'), {HTTPS_PROXY: 'socks5://u:hidden@b:1'}),
    {
      code: 'ERR_INVALID_PROXY',
    },
  );
  t.false(JSON.stringify({...error, message: error!.message}).includes('hidden'));
});
