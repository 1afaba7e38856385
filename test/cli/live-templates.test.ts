import {execFileSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot} from '../helpers/requires.js';

ownNetwork();

const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}.cjs`, import.meta.url));

asRoot("templates of Docker's manual tell of a running container what is true of it", async t => {
  const env = ownRoot(t);
  const run = (program: string, ...args: string[]) =>
    execFileSync(process.execPath, [bin(program), ...args], {env, encoding: 'utf8'});
  const script =
    'ip=$(cat /proc/net/fib_trie | grep -B1 "/32 host LOCAL" | grep -v 127 | grep -oE "[0-9.]{7,}" | head -n 1); echo $ip $(cat /sys/class/net/eth0/address); exec sleep 600';
  const ports = ['-p', '8787:8787', '-p', '127.0.0.1:8788:88/udp'];
  const id = run('coracle', 'run', '-d', '--name', 'web', ...ports, 'host-shell', 'sh', '-c', script).trim();
  t.teardown(() => run('coracle', 'rm', '-f', 'web'));
  let seen = '';
  while (!seen.endsWith('\n')) seen = run('coracle', 'logs', 'web');
  const [address, mac] = seen.trim().split(' ') as [string, string];
  t.regex(address, /^172\.\d+\.0\.2$/);
  const inspect = (template: string) => {
    const text = run('ts-inspect', '--format', template, 'web');
    t.is(run('ts-inspect', '--format', template.replaceAll('<<', '{{').replaceAll('>>', '}}'), 'web'), text);
    return text.replace(/\n$/, '');
  };
  t.is(inspect('<<.NetworkSettings.IPAddress>>'), address);
  t.is(inspect('<<range .NetworkSettings.Networks>><<.IPAddress>><<end>>'), address);
  t.is(inspect('<<range .NetworkSettings.Networks>><<.MacAddress>><<end>>'), mac);
  t.is(inspect('<<.NetworkSettings.MacAddress>>'), mac);
  t.is(inspect('<<.Config.Image>>'), 'host-shell');
  const log = inspect('<<.LogPath>>');
  t.true(existsSync(log));
  t.is((JSON.parse(readFileSync(log, 'utf8')) as {log: string}).log, `${address} ${mac}\n`);
  const table = inspect(
    '<<range $p, $conf := .NetworkSettings.Ports>> <<$p>> -> <<(index $conf 0).HostPort>> <<end>>',
  );
  t.is(table, ' 8787/tcp -> 8787  88/udp -> 8788 ');
  t.is(inspect('<<(index (index .NetworkSettings.Ports "8787/tcp") 0).HostPort>>'), '8787');
  const config = JSON.parse(inspect('<<json .Config>>')) as {Hostname: string; Image: string; Cmd: string[]};
  t.like(config, {Hostname: id.slice(0, 12), Image: 'host-shell'});
  t.deepEqual(config.Cmd.slice(0, 2), ['sh', '-c']);
});
