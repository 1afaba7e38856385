import {resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'generate systemd',
  usage: '[OPTIONS]',
  summary:
    "Write a systemd unit that runs 'coracle boot', and starts again what lost its monitor (Coracle's own)",
  flags: [
    {
      name: 'schedule',
      type: 'file',
      summary: "Write the unit of 'coracle schedule' with this configuration instead",
    },
  ],
  least: 0,
  most: 0,
  examples: [
    'coracle generate systemd >/etc/systemd/system/coracle.service',
    'systemctl enable --now coracle.service',
    'coracle generate systemd --schedule /etc/coracle/backups.json \\\n    >/etc/systemd/system/coracle-backups.service',
  ],
  run,
};

/**
 * The containers' monitors leave the unit's cgroup: stopping it leaves them alone. What could not be started is in the
 * journal; the unit stays, for the others.
 */
async function run(call: Call, {stdout, env, sdk, directory}: Context): Promise<number> {
  const {root, file, program} = await (await sdk()).watching();
  const others = ['CORACLE_RUN', 'CORACLE_CONFIG'].map(name => [name, env[name]] as const);
  const settings = [['CORACLE_ROOT', root] as const, ...others].flatMap(([name, value]) =>
    value ? [`Environment=${quoted(`${name}=${value}`)}\n`] : [],
  );
  const config = call.value('schedule');
  if (config !== undefined) {
    stdout.write(scheduleUnit(resolve(directory, config), root, settings.join('')));
    return 0;
  }
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

/**
 * A stop waits until runs that go on were aborted, and containers that are held go on. Code 2, a configuration that is wrong, does
 * not get better by starting again, nor does 75, another schedule.
 */
function scheduleUnit(config: string, root: string, settings: string): string {
  return `[Unit]
Description=Backups of Coracle's volumes
After=local-fs.target network-online.target coracle.service
Wants=network-online.target
RequiresMountsFor=${quoted(root)}

[Service]
Type=exec
${settings}ExecStart=${word(process.execPath)} ${word(programPath())} schedule --config ${word(config)}
Restart=on-failure
RestartSec=30
RestartPreventExitStatus=2 75
KillMode=mixed
TimeoutStopSec=300
Nice=10
IOSchedulingClass=idle

[Install]
WantedBy=multi-user.target
`;
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
