import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'boot',
  usage: '',
  summary: "Start what its restart policy wants to run after a boot (Coracle's own)",
  flags: [],
  least: 0,
  most: 0,
  examples: ['coracle boot', 'coracle generate systemd >/etc/systemd/system/coracle.service'],
  run,
};

async function run(_call: Call, context: Context): Promise<number> {
  const {started, failed} = await (await context.sdk()).boot();
  for (const name of started) context.stdout.write(`${name}\n`);
  return failed.length > 0 ? 1 : 0;
}
