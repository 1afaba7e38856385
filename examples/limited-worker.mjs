// A worker with limits and a deadline; the exit says what it died of. Run: node examples/limited-worker.mjs
import {Container, Image} from 'coracle';

await Image.fromHost({name: 'sleeper', binaries: ['/usr/bin/sleep']});

const job = await Container.run('sleeper', {
  command: ['/usr/bin/sleep', '60'],
  limits: {memoryBytes: 64 * 1024 ** 2, processes: 16, cpus: 0.5},
  deadlineMs: 200,
});
try {
  const {cause, durationMs, peakMemoryBytes} = await job.exit;
  console.log(`ended by its ${cause.kind} after ${Math.round(durationMs)} ms`);
  console.log(`used at most ${Math.ceil((peakMemoryBytes ?? 0) / 1024)} KiB`);
} finally {
  await job[Symbol.asyncDispose](); // stops it if it still runs, and removes what it left
}
