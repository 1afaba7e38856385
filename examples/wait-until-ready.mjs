// Starts a service that lives on its own, waits until it is ready and healthy, and ends it.
// Run: node examples/wait-until-ready.mjs
import {Container, Image} from 'coracle';

await Image.hostShell();
const service = await Container.runDetached('host-shell', {
  command: ['sh', '-c', 'sleep 0.2; echo warm >/tmp/state; echo ready; sleep 60'],
  healthcheck: {
    command: 'grep -q warm /tmp/state',
    intervalMs: 100,
    startPeriodMs: 5000,
    startIntervalMs: 100,
  },
});
try {
  await service.waitFor({log: /^ready$/}, {timeoutMs: 10_000});
  await service.waitFor({healthy: true}, {timeoutMs: 10_000});
  const {State} = await service.inspect();
  console.log(State.Status, State.Health.Status);
} finally {
  await service.remove({force: true});
}
