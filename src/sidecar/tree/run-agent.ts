/**
 * The sidecar of volumes: a container of this host's own Node with the program that reads and unpacks them. It has no network, a
 * read-only root, and of all capabilities those that its work takes. What it is made of is this host's own, mounted read-only:
 * nothing is copied, and its pages are in memory once.
 */
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {CoracleError} from '../../errors.js';
import {
  Container,
  coreFile,
  findLibraries,
  Image,
  type InRuntime,
  koffiAddon,
  type Limits,
  type Mount,
  packageRoot,
  type RunningContainer,
  TAR_END,
} from '../../sdk/index.js';
import {sidecarLimits} from '../sidecar-limits.js';

export interface Agent {
  readonly task: 'backup' | 'restore';
  readonly arguments?: readonly string[];
  readonly mounts: readonly Mount[];
  readonly limits?: Limits | undefined;
  readonly signal?: AbortSignal | undefined;
}

const CAPABILITIES: Readonly<Record<Agent['task'], readonly string[]>> = {
  backup: ['DAC_READ_SEARCH'],
  // Files of any owner, set-id bits, device nodes, capabilities of files.
  restore: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'],
};

/** @throws `ERR_CORE_MISSING`, and as `Container.run` */
export async function runAgent(
  {task, arguments: words = [], mounts, limits, signal}: Agent,
  in_: InRuntime,
): Promise<RunningContainer> {
  await ensureImage(in_);
  return Container.run(
    IMAGE,
    {
      command: [process.execPath, ...NODE_FLAGS, PROGRAM, task, ...words],
      env: {},
      mounts: [...programMounts(), ...mounts],
      network: 'none',
      readOnly: true,
      capabilities: {drop: ['ALL'], add: CAPABILITIES[task]},
      ...sidecarLimits(64, limits),
      startDeadlineMs: START_MS, // backups run when others do
      labels: {'coracle.sidecar': task},
      stdin: 'pipe',
      stdout: 'ignore',
      stderr: 'pipe',
      ...(signal && {signal}),
    },
    in_,
  );
}

/** Nothing is in it: whatever is needed is mounted. */
async function ensureImage(in_: InRuntime): Promise<void> {
  try {
    await Image.get(IMAGE, in_);
  } catch (error) {
    if ((error as CoracleError).code !== 'ERR_IMAGE_NOT_FOUND') throw error;
    await Image.import(
      Readable.from([TAR_END]),
      {reference: IMAGE, message: 'Nothing: the reader of volumes is mounted'},
      in_,
    );
  }
}

const IMAGE = 'coracle-reader';
const START_MS = 60_000;
const HOME = '/coracle';
const PROGRAM = `${HOME}/dist/sidecar-agent.cjs`;
/** The work is in buffers outside of the heap; what is young there dies soon. */
const NODE_FLAGS = ['--max-semi-space-size=2', '--single-threaded-gc'];

/** Laid out as the package is, so that the program finds the core in the same way. */
function programMounts(): Mount[] {
  const root = packageRoot();
  if (root === undefined) {
    throw new CoracleError('ERR_CORE_MISSING', 'the program that reads volumes is not beside this one', {
      hint: 'Bundlers have to leave coracle outside: it runs dist/sidecar-agent.cjs of its package in a container.',
    });
  }
  const core = coreFile('libcoracle.so');
  const addon = koffiAddon();
  const bind = (source: string, target: string): Mount => ({type: 'bind', source, target, readOnly: true});
  const libraries = findLibraries(process.execPath, core, addon.path);
  return [
    bind(join(root, 'package.json'), `${HOME}/package.json`),
    bind(join(root, 'dist', 'sidecar-agent.cjs'), PROGRAM),
    bind(core, `${HOME}/native/build/libcoracle.so`),
    bind(addon.path, `${HOME}/node_modules/${addon.name}`),
    ...libraries.filter(path => path !== core && path !== addon.path).map(path => bind(path, path)),
  ];
}
