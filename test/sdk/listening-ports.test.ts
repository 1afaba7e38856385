import {createServer} from 'node:net';
import test from 'ava';
import {isListening, listens} from '../../src/sdk/listening-ports.js';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const line = (local: string, state = '0A') =>
  `${HEAD}   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1\n`;

const accepts = test.macro({
  exec(t, local: string, port: number, host: string | undefined, expected: boolean, state?: string) {
    t.is(listens(line(local, state), port, host), expected);
  },
  title: (_, local, port, host, expected, state) =>
    `${local}${state === undefined ? '' : ` in state ${state}`} ${expected ? 'accepts' : 'does not accept'} at ${host ?? 'any address'} port ${port}`,
});

test(accepts, '0100007F:1F90', 8080, undefined, true);
test(accepts, '0100007F:1F90', 8081, undefined, false);
test(accepts, '0100007F:1F90', 8080, undefined, false, '01');
test(accepts, '0100007F:1F90', 8080, '127.0.0.1', true);
test(accepts, '0100007F:1F90', 8080, '192.0.2.1', false);
test(accepts, '00000000:1F90', 8080, '192.0.2.1', true);
test(accepts, '00000000000000000000000000000000:0050', 80, '192.0.2.1', true);
test(accepts, '00000000000000000000000001000000:0050', 80, '::1', true);
test(accepts, '00000000000000000000000001000000:0050', 80, '::2', false);
test(accepts, 'B80D0120000000000000000001000000:0050', 80, '2001:db8::1', true);
test(accepts, '0000000000000000FFFF00000100007F:0050', 80, '127.0.0.1', true);

test('a port of this process accepts as long as somebody listens at it', async t => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const {port} = server.address() as {port: number};
  t.true(isListening(process.pid, port, '127.0.0.1'));
  t.false(isListening(process.pid, port, '127.0.0.2'));
  await new Promise(resolve => server.close(resolve));
  t.false(isListening(process.pid, port));
  t.false(isListening(2 ** 22 + 1, port)); // nobody has such a pid
});
