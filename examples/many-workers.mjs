// Twenty workers at once, each with its own files, processes and limits. Run: node examples/many-workers.mjs
import {Container, Image} from 'coracle';

await Image.fromHost({name: 'shell', binaries: ['/bin/sh']});

const started = performance.now();
const answers = await Promise.all(Array.from({length: 20}, (_, number) => square(number)));
console.log(answers.join(' '));
console.error(`${answers.length} workers in ${Math.round(performance.now() - started)} ms`);

async function square(number) {
  const job = await Container.run('shell', {
    command: ['/bin/sh', '-c', `echo $((${number} * ${number}))`],
    limits: {memoryBytes: 32 * 1024 ** 2, processes: 8},
    deadlineMs: 10_000,
  });
  try {
    let text = '';
    for await (const bytes of job.stdout) text += bytes;
    return text.trim();
  } finally {
    await job[Symbol.asyncDispose]();
  }
}
