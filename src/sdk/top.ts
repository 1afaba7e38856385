import {execFile} from 'node:child_process';
import {readdirSync, readlinkSync} from 'node:fs';
import {promisify} from 'node:util';
import {processesIn} from '../cgroup/index.js';
import {CoracleError} from '../errors.js';
import type {ContainerRecord} from './container-files.js';
import {isUp} from './container-state.js';
import {notRunning} from './exec-failure.js';
import type {Runtime} from './runtime.js';

/** What ps(1) of the host says about a container's processes. Pids are the host's. */
export interface ProcessList {
  /** As the options ask for them: `UID`, `PID`, … */
  readonly titles: readonly string[];
  /** A row each, with as many fields as there are titles. */
  readonly processes: readonly (readonly string[])[];
}

/**
 * As dockerd does it (daemon/top_unix.go): ps(1) runs outside and is told which processes to show; options that cannot go
 * together with that show all, of which the container's are kept.
 * @throws `ERR_CONTAINER_NOT_RUNNING`, `ERR_TOP_FAILED`
 */
export async function listProcesses(
  runtime: Runtime,
  record: ContainerRecord,
  options: readonly string[],
): Promise<ProcessList> {
  const state = runtime.stateOf(record);
  if (!isUp(state)) throw notRunning(record.id, undefined, state.status);
  const args = options.length > 0 ? options : ['-ef'];
  refuseRenamed(args);
  const cgroups = runtime.cgroupsOf(record);
  const pids = Object.keys(cgroups).length > 0 ? await processesIn(cgroups) : processesBeside(state.pid);
  return parseProcessList(await outputOf(args, pids), new Set(pids));
}

async function outputOf(args: readonly string[], pids: readonly number[]): Promise<string> {
  const run = promisify(execFile); // here: it loads node:child_process, which most programs do without
  const options = {env: {...process.env, COLUMNS: '100000'}, maxBuffer: 2 ** 26};
  try {
    return (await run('ps', [...args, `-q${pids.join(',')}`], options)).stdout;
  } catch {
    // Some options, such as f, go together with no list: told again below, by those that fail for another reason.
  }
  try {
    return (await run('ps', [...args], options)).stdout;
  } catch (cause) {
    const {code, stderr = ''} = cause as {readonly code?: string; readonly stderr?: string};
    const [line = ''] = stderr.split('\n');
    throw new CoracleError(
      'ERR_TOP_FAILED',
      code === 'ENOENT' ? 'ps: executable file not found' : `ps: ${line}`,
      {
        cause,
        ...(code === 'ENOENT' && {hint: 'apt-get install procps'}),
      },
    );
  }
}

/** A title that says PID over something else would let any process through. */
function refuseRenamed(args: readonly string[]): void {
  for (const [, name, title] of ` ${args.join(' ')}`.matchAll(/\s+(\S*)=\s*(PID\S*)/g)) {
    if (name !== 'pid') throw failed(`specifying "${name}=${title}" is not allowed`);
  }
}

/** Pure. Threads that follow their process (option m) have "-" for a pid. */
export function parseProcessList(text: string, pids: ReadonlySet<number>): ProcessList {
  const [head = '', ...lines] = text.split('\n');
  const titles = fieldsOf(head);
  const column = titles.indexOf('PID');
  if (column === -1) throw failed("Couldn't find PID field in ps output");
  const processes: string[][] = [];
  let isOurs = false;
  for (const line of lines.filter(each => each !== '')) {
    const fields = fieldsOf(line);
    const pid = fields[column] ?? '';
    if (pid !== '-') {
      if (!/^\d+$/.test(pid)) throw failed(`Unexpected pid '${pid}'`);
      isOurs = pids.has(Number(pid));
    }
    const last = titles.length - 1;
    if (isOurs) processes.push([...fields.slice(0, last), fields.slice(last).join(' ')]);
  }
  return {titles, processes};
}

function fieldsOf(line: string): string[] {
  return line.split(/[ \t\n\v\f\r]+/).filter(field => field !== '');
}

function failed(message: string): CoracleError {
  return new CoracleError('ERR_TOP_FAILED', message, {
    hint: 'ps(1) has the options: -o pid,comm for instance.',
  });
}

/** Of a container without a cgroup: who shares its namespace of processes. */
function processesBeside(pid: number): number[] {
  const namespaceOf = (process: number | string) => {
    try {
      return readlinkSync(`/proc/${process}/ns/pid`);
    } catch {
      return undefined; // gone, or somebody else's
    }
  };
  const own = namespaceOf(pid);
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && own !== undefined && namespaceOf(name) === own)
    .map(Number);
}
