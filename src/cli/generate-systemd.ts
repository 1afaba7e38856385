import {fileURLToPath} from 'node:url';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'generate systemd',
  usage: '',
  summary: "Write a systemd unit that runs 'coracle boot' (Coracle's own)",
  flags: [],
  least: 0,
  most: 0,
  examples: [
    'coracle generate systemd >/etc/systemd/system/coracle.service',
    'systemctl enable coracle.service',
  ],
  run,
};

/** The containers' monitors leave the unit's cgroup: stopping it leaves them alone. */
async function run(_call: Call, {stdout, env}: Context): Promise<number> {
  const settings = ['CORACLE_ROOT', 'CORACLE_RUN', 'CORACLE_CONFIG'].flatMap(name =>
    env[name] ? [`Environment=${quoted(`${name}=${env[name]}`)}`] : [],
  );
  stdout.write(`[Unit]
Description=Coracle containers with a restart policy
After=local-fs.target network-online.target
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
${settings.map(line => `${line}\n`).join('')}ExecStart=${quoted(process.execPath)} ${quoted(programPath())} boot

[Install]
WantedBy=multi-user.target
`);
  return 0;
}

/** As it was started; in a package its own file. */
function programPath(): string {
  return process.argv[1] ?? fileURLToPath(import.meta.url);
}

/** systemd.service(5): a percent sign and a dollar sign are special, also between quotes. */
function quoted(text: string): string {
  const safe = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./-]+$/.test(safe) ? safe : JSON.stringify(safe);
}
