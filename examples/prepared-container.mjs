// A container prepared ahead of its work: everything is done but exec, so that the start that a user waits for takes a
// fraction of a millisecond. Run: node examples/prepared-container.mjs
import {text} from 'node:stream/consumers';
import {Container, Image} from 'coracle';

await Image.fromHost({name: 'shell', binaries: ['/bin/sh']});

const prepared = await Container.prepare('shell', {
  command: ['/bin/sh', '-c', 'read -r name && echo "hello, $name"'],
  stdin: 'pipe',
  limits: {memoryBytes: 32 * 1024 ** 2, processes: 8},
});
try {
  const asked = performance.now();
  const job = await prepared.start();
  const milliseconds = performance.now() - asked;
  job.stdin.end('sailor\n');
  console.log((await text(job.stdout)).trim());
  console.error(
    `started ${milliseconds.toFixed(2)} ms after it was asked for; ended with ${(await job.exit).code}`,
  );
} finally {
  await prepared[Symbol.asyncDispose](); // removes one that was never started
}
