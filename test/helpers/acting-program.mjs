/**
 * A program that does what it is told, by the SDK: a line of JSON for each deed comes in, one for its outcome goes out. Deeds
 * go on at the same time. Arguments: the shell script of a container.
 */
import {createInterface} from 'node:readline';
import {Container, Image, pruneContainers, Runtime, Volume} from '../../dist/index.js';

const [script] = process.argv.slice(2);
const runtime = await Runtime.open();
const call = {runtime};
const get = id => Container.get(id, call);
const options = ({name, containerKind, slot}) => ({
  name,
  command: ['sh', '-c', script, containerKind],
  labels: {slot: String(slot)},
  ...(containerKind === 'again' && {restart: {name: 'on-failure', maximumRetries: 1}}),
});

const deeds = {
  create: async deed => (await Container.create('shell', options(deed), call)).id,
  run: async deed => (await Container.runDetached('shell', options(deed), call)).id,
  once: async () => {
    const running = await Container.run('shell', {command: ['sh', '-c', 'exit 4']}, call);
    return (await running.exit).code;
  },
  start: async ({id}) => (await get(id)).startDetached(),
  stop: async ({id}) => (await get(id)).stop({timeoutMs: 60_000}),
  restart: async ({id}) => (await get(id)).restart({timeoutMs: 60_000}),
  kill: async ({id}) => (await get(id)).kill(),
  signal: async ({id}) => (await get(id)).kill('USR1'),
  pause: async ({id}) => (await get(id)).pause(),
  unpause: async ({id}) => (await get(id)).unpause(),
  rename: async ({id, name}) => (await get(id)).rename(name),
  remove: async ({id}) => (await get(id)).remove(),
  removeForce: async ({id}) => (await get(id)).remove({force: true}),
  prune: async ({slot}) => (await pruneContainers({labels: [`slot=${slot}`]}, call)).deleted.join(),
  exec: async ({id}) => {
    const {stdout, exitCode} = await (await get(id)).capture(['sh', '-c', 'echo inside; exit 5']);
    return `${stdout}${exitCode}`;
  },
  copyIn: async ({id, text}) => (await get(id)).putArchive('/', archiveOf('note', text)),
  copyOut: async ({id}) => {
    const parts = [];
    for await (const part of (await get(id)).getArchive('/note')) parts.push(part);
    return textIn(Buffer.concat(parts));
  },
  logs: async ({id}) => {
    const parts = [];
    for await (const {bytes} of (await get(id)).logs()) parts.push(bytes);
    return Buffer.concat(parts).toString();
  },
  wait: async ({id}) => {
    const exit = await (await get(id)).wait();
    return exit === undefined ? 0 : exit.kind === 'signal' ? 128 + exit.signal : exit.code;
  },
  tag: async ({tag}) => void (await (await Image.get('shell', call)).tag(tag)),
  untag: async ({tag}) => void (await Image.remove(tag, call)),
  volumeCreate: async ({name}) => void (await Volume.create({name}, call)),
  volumeRemove: async ({name}) => (await Volume.get(name, call)).remove(),
};

/** tar(5), the ustar header of one file. */
function archiveOf(path, text) {
  const header = Buffer.alloc(512);
  header.write(path, 0);
  header.write('0000644\x000000000\x000000000\x00', 100);
  header.write(`${text.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        0', 148);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const content = Buffer.alloc(Math.ceil(text.length / 512) * 512);
  content.write(text);
  return (async function* () {
    yield Buffer.concat([header, content, Buffer.alloc(1024)]);
  })();
}

/** Of the first file; what a header of the type x says of it comes before. */
function textIn(archive) {
  for (let at = 0; ; ) {
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 135), 8);
    if (archive.toString('latin1', at + 156, at + 157) === '0')
      return archive.toString('utf8', at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

console.log('{"ready":true}');
for await (const line of createInterface({input: process.stdin})) {
  const {number, deed} = JSON.parse(line);
  deeds[deed.kind](deed).then(
    value => console.log(JSON.stringify({number, outcome: {value: value ?? null}})),
    error => console.log(JSON.stringify({number, outcome: {error: error.code ?? error.stack}})),
  );
}
await runtime.close();
