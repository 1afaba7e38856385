// Runs JavaScript of somebody else's in a Node of its own: this host's Node in an image made of its own files, without
// network, with a read-only root and as nobody. JSON goes in, JSON comes out. Run: node examples/isolated-node.mjs
import {text} from 'node:stream/consumers';
import {Container, Image} from 'coracle';

const theirCode = `
  const {numbers} = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
  const seen = {pid: process.pid, uid: process.getuid(), home: require('node:fs').existsSync('/home')};
  console.log(JSON.stringify({sum: numbers.reduce((a, b) => a + b), seen}));
`;

await Image.fromHost({name: 'node-worker', binaries: [process.execPath]});

const job = await Container.run('node-worker', {
  command: [process.execPath, '--eval', theirCode],
  stdin: {text: JSON.stringify({numbers: [19, 23]})},
  user: '65534:65534',
  readOnly: true,
  limits: {memoryBytes: 256 * 1024 ** 2, processes: 32, cpus: 1},
  deadlineMs: 20_000,
});
try {
  const [answer, complaint, exit] = await Promise.all([text(job.stdout), text(job.stderr), job.exit]);
  if (exit.kind !== 'code' || exit.code !== 0) throw new Error(`${exit.cause.kind}: ${complaint}`);
  console.log(answer.trim());
} finally {
  await job[Symbol.asyncDispose]();
}
