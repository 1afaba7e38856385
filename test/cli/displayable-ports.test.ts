import test from 'ava';
import {displayablePorts, type ListedPort} from '../../src/cli/displayable-ports.js';

const published = (privatePort: number, publicPort = privatePort, address = '0.0.0.0'): ListedPort => ({
  privatePort,
  publicPort,
  address,
  protocol: 'tcp',
});
const exposed = (privatePort: number): ListedPort => published(privatePort, 0, '');

test('each published port is shown with where it leads, those of another number last', t => {
  t.is(
    displayablePorts([published(80, 8080), published(80, 8080, '::'), exposed(443)]),
    '443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp',
  );
});

test('consecutive ports are one entry', t => {
  t.is(displayablePorts([exposed(81), exposed(80), exposed(82), exposed(90)]), '80-82/tcp, 90/tcp');
  t.is(displayablePorts([published(80), published(81)]), '0.0.0.0:80-81->80-81/tcp');
});

test('without ports the column is empty', t => {
  t.is(displayablePorts([]), '');
});
