import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {encodeAnswer, questionOf} from './dns-message.js';

/** What a server says to a question: addresses, a code other than 0, or nothing at all. */
export type Reply = readonly string[] | number | 'silence' | 'too long for udp';

export interface DnsServer {
  /** What it was asked, as "udp name" or "tcp name". */
  readonly asked: readonly string[];
  close(): void;
}

/** A name server at an address of this process' network, port 53, over udp and tcp. */
export async function dnsServer(address: string, reply: (name: string) => Reply): Promise<DnsServer> {
  const asked: string[] = [];
  const answer = (query: Buffer, over: 'udp' | 'tcp'): Buffer | undefined => {
    const {name} = questionOf(query);
    asked.push(`${over} ${name}`);
    const said = reply(name);
    if (said === 'silence') return undefined;
    if (typeof said === 'number') return encodeAnswer(query, said, []);
    if (said !== 'too long for udp') return encodeAnswer(query, 0, said);
    if (over === 'udp') return encodeAnswer(query, 0, [], true);
    return encodeAnswer(
      query,
      0,
      Array.from({length: 1000}, (_, i) => `10.0.${i >> 8}.${i & 255}`),
    );
  };
  const udp = createSocket('udp4');
  udp.on('message', (query, from) => {
    const bytes = answer(query, 'udp');
    if (bytes !== undefined) udp.send(bytes, from.port, from.address);
  });
  udp.bind(53, address);
  const tcp = createServer(socket => {
    let read = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      read = Buffer.concat([read, bytes]);
      while (read.length >= 2 && read.length >= 2 + read.readUInt16BE(0)) {
        const query = read.subarray(2, 2 + read.readUInt16BE(0));
        read = read.subarray(2 + query.length);
        const said = answer(query, 'tcp');
        if (said === undefined) continue;
        const length = Buffer.alloc(2);
        length.writeUInt16BE(said.length);
        socket.write(Buffer.concat([length, said]));
      }
    });
  });
  tcp.listen(53, address);
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  return {
    asked,
    close() {
      udp.close();
      tcp.close();
    },
  };
}
