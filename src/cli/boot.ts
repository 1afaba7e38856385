import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'boot',
  usage: '[OPTIONS]',
  summary: "Start what its restart policy wants to run after a boot (Coracle's own)",
  flags: [{name: 'lost', summary: 'Only what should run and lost its monitor'}],
  least: 0,
  most: 0,
  examples: ['coracle boot', 'coracle generate systemd >/etc/systemd/system/coracle.service'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const {started, failed} = await (await context.sdk()).boot({lost: call.has('lost')});
  for (const name of started) context.stdout.write(`${name}\n`);
  return failed.length > 0 ? 1 : 0;
}
