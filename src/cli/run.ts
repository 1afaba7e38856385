import type {RunOptions} from '../sdk/index.js';
import {attend, Detached} from './attend.js';
import {CidFile} from './cid-file.js';
import type {Call, Command, Context} from './command.js';
import {CONTAINER_FLAGS, DETACH_FLAG, DETACH_KEYS_FLAG} from './container-flags.js';
import {containerOptions} from './container-options.js';
import {parseDetachKeys} from './detach-keys.js';
import {explainSteps} from './explain-steps.js';
import {warnOfDiscardedPorts, warnOfLoopbackDns} from './network-warnings.js';
import {withImage} from './pull-missing.js';
import type {AttachedStreams} from './sdk.js';
import {requireTerminal} from './terminal.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'run',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create and run a new container from an image',
  aliases: ['container run'],
  flags: [
    ...CONTAINER_FLAGS,
    DETACH_FLAG,
    DETACH_KEYS_FLAG,
    {
      name: 'explain',
      summary: "Print the steps of the start with the time each took, to stderr (Coracle's own)",
    },
    {name: 'json', summary: 'With --explain: as one JSON document'},
    {name: 'sig-proxy', summary: 'Proxy received signals to the process (default true)'},
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  flagsFirst: true,
  examples: [
    'coracle run --rm hello-world',
    "coracle run --rm -m 64m --timeout 10 host-shell sh -c 'echo $$'",
    "printf 'b\\na\\n' | coracle run --rm -i host-shell sort",
    'coracle run --rm -v "$PWD":/work:ro -w /work host-shell ls',
    'coracle run -d --name web --restart on-failure:3 host-shell sh -c "sleep 60"',
    'coracle run --rm --explain hello-world',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const image = call.words[0]!;
  const options = await containerOptions(call, context);
  const detachKeys = parseDetachKeys(call.value('detach-keys'));
  const streams = streamsOf(options);
  if (streams.stdin && options.tty && !call.has('detach')) requireTerminal(context);
  warnOfLoopbackDns(options, context);
  using cidFile = new CidFile(call.value('cidfile'));
  const sdk = await context.sdk();
  let created: string | undefined;
  const onCreated = (id: string) => {
    created = id;
    cidFile.write(id);
  };
  if (call.has('detach')) {
    try {
      const warnings = await whileInterruptible(context, 'the start', signal =>
        withImage(call, context, signal, pull =>
          sdk.runDetached(image, {...options, ...pull, signal}, onCreated),
        ),
      );
      warnOfDiscardedPorts(options, context);
      for (const warning of warnings) context.stderr.write(`WARNING: ${warning}\n`);
    } finally {
      // Whether or not it started: there is a container, and this is how it is found.
      if (created !== undefined) context.stdout.write(`${created}\n`);
    }
    return 0;
  }
  // What nobody can come back to needs no monitor; and the steps of a start are told by the launcher.
  const passes =
    (options.autoRemove ?? false) &&
    !options.tty &&
    options.attach === undefined &&
    options.log?.driver !== 'journald'; // what it wrote outlives it
  const container = await whileInterruptible(context, 'the start', signal =>
    withImage(call, context, signal, pull =>
      passes || call.has('explain')
        ? sdk.run(image, {...options, ...pull, signal}, call.has('explain'))
        : sdk.runAttached(image, {...options, ...pull, signal}, streams, onCreated),
    ),
  );
  onCreated(container.id);
  warnOfDiscardedPorts(options, context);
  if (call.has('explain')) context.stderr.write(explainSteps(container.steps, call.has('json')));
  try {
    return await attend(container, context, {
      proxySignals: call.value('sig-proxy') === undefined || call.has('sig-proxy'),
      detachKeys,
    });
  } catch (error) {
    if (error instanceof Detached) return 0;
    throw error;
  }
}

function streamsOf({attach, stdin}: RunOptions): AttachedStreams {
  const has = (stream: 'stdin' | 'stdout' | 'stderr') => attach === undefined || attach.includes(stream);
  return {stdin: stdin === 'pipe' && has('stdin'), stdout: has('stdout'), stderr: has('stderr')};
}
