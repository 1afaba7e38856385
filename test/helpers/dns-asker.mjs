// Asks the name server 127.0.0.11 what it reads, a line of JSON each: {"over": "udp" or "tcp", "query": hexadecimal digits};
// writes an answer as hexadecimal digits, or "nothing". A program for inside a container's network.
import {createSocket} from 'node:dgram';
import {connect} from 'node:net';
import {createInterface} from 'node:readline';

const SERVER = '127.0.0.11';

for await (const line of createInterface({input: process.stdin})) {
  const {over, query} = JSON.parse(line);
  const ask = over === 'tcp' ? askStream : askDatagram;
  const answer = await ask(Buffer.from(query, 'hex'));
  console.log(answer === undefined ? 'nothing' : answer.toString('hex'));
}

function askDatagram(query) {
  return new Promise(resolve => {
    const socket = createSocket('udp4');
    const end = answer => {
      socket.close();
      resolve(answer);
    };
    socket.once('message', end);
    socket.once('error', () => end(undefined));
    socket.connect(53, SERVER, () => socket.send(query));
  });
}

function askStream(query) {
  return new Promise(resolve => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    let read = Buffer.alloc(0);
    const socket = connect(53, SERVER, () => socket.write(Buffer.concat([length, query])));
    const end = answer => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('error', () => end(undefined));
    socket.on('end', () => end(undefined));
    socket.on('data', bytes => {
      read = Buffer.concat([read, bytes]);
      if (read.length >= 2 && read.length >= 2 + read.readUInt16BE(0)) end(read.subarray(2));
    });
  });
}
