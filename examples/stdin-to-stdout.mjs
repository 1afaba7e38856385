// Sorts lines in a container: bytes stream in and out with back-pressure, whatever their number.
// Run: printf 'pear\napple\n' | node examples/stdin-to-stdout.mjs
import {pipeline} from 'node:stream/promises';
import {Container, Image} from 'coracle';

await Image.fromHost({name: 'sort', binaries: ['/usr/bin/sort']});

const job = await Container.run('sort', {command: ['/usr/bin/sort'], stdin: 'pipe'});
try {
  const written = pipeline(process.stdin, job.stdin);
  for await (const bytes of job.stdout) process.stdout.write(bytes);
  await written;
  const exit = await job.exit;
  process.exitCode = exit.kind === 'code' ? exit.code : 1;
} finally {
  await job[Symbol.asyncDispose]();
}
