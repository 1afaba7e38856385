import {fileURLToPath} from 'node:url';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'generate systemd',
  usage: '',
  summary:
    "Write a systemd unit that runs 'coracle boot', and starts again what lost its monitor (Coracle's own)",
  flags: [],
  least: 0,
  most: 0,
  examples: [
    'coracle generate systemd >/etc/systemd/system/coracle.service',
    'systemctl enable --now coracle.service',
  ],
  run,
};

/**
 * The containers' monitors leave the unit's cgroup: stopping it leaves them alone. What could not be started is in the
 * journal; the unit stays, for the others.
 */
async function run(_call: Call, {stdout, env, sdk}: Context): Promise<number> {
  const {root, file, program} = await (await sdk()).watching();
  const others = ['CORACLE_RUN', 'CORACLE_CONFIG'].map(name => [name, env[name]] as const);
  const settings = [['CORACLE_ROOT', root] as const, ...others].flatMap(([name, value]) =>
    value ? [`Environment=${quoted(`${name}=${value}`)}\n`] : [],
  );
  const boot = `${word(process.execPath)} ${word(programPath())} boot`;
  stdout.write(`[Unit]
Description=Coracle containers with a restart policy
After=local-fs.target network-online.target
Wants=network-online.target
RequiresMountsFor=${quoted(root)}

[Service]
Type=exec
${settings.join('')}ExecStartPre=-${boot}
ExecStart=${word(program)} ${word(file)} ${boot} --lost
Restart=always
RestartSec=1
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
`);
  return 0;
}

/** As it was started; in a package its own file. */
function programPath(): string {
  return process.argv[1] ?? fileURLToPath(import.meta.url);
}

/** Of a command line: a dollar sign is special, also between quotes: systemd.service(5). */
function word(text: string): string {
  return quoted(text.replaceAll('$', '$$$$'));
}

/** A percent sign is special everywhere: systemd.unit(5). */
function quoted(text: string): string {
  const safe = text.replaceAll('%', '%%');
  return /^[\w@%+=:,./-]+$/.test(safe) ? safe : JSON.stringify(safe);
}
