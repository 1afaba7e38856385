import {closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync, writeSync} from 'node:fs';
import {constants} from 'node:os';
import koffi, {type TypeObject} from 'koffi';
import type {Slot, Step} from '../../src/binding/steps.js';
import {STEP_FLAGS} from '../../src/binding/steps.js';

/** What running a list of steps leaves open, and what its reports said. */
export interface Run {
  /** Slot → descriptor and the path behind it. */
  readonly open: Map<Slot, {readonly fd: number; readonly path: string}>;
  readonly reports: Map<number, Uint8Array>;
}

/** Carries out the few opcodes that cgroups need, with node:fs: the kernel judges the values, the plan stays data. */
export function runSteps(steps: readonly Step[], run: Run = {open: new Map(), reports: new Map()}): Run {
  for (const step of steps) {
    try {
      runStep(step, run);
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException;
      if ((step.flags ?? 0) & STEP_FLAGS.optional) continue;
      if (code === 'EEXIST' && (step.flags ?? 0) & STEP_FLAGS.existsOk) continue;
      throw new Error(`${step.op} ${step.s1} ${step.s2 ?? ''}: ${code ?? error}`, {cause: error});
    }
  }
  return run;
}

export function closeAll({open}: Run): void {
  for (const {fd} of open.values()) closeSync(fd);
  open.clear();
}

function runStep({op, s1, s2 = '', at = -1, out, x}: Step, {open, reports}: Run): void {
  const path = String(s1);
  switch (op) {
    case 'mkdir':
      mkdirSync(path, Number(x));
      break;
    case 'write':
      if (at === -1) writeFileSync(path, s2);
      else writeSync(open.get(at)!.fd, String(s2));
      break;
    case 'open':
      open.set(out!, {fd: openSync(path, Number(x)), path});
      break;
    case 'close':
      closeSync(open.get(at)!.fd);
      open.delete(at);
      break;
    case 'report': {
      const text = whilePresent(() => readFileSync(path));
      if (text !== undefined) reports.set(Number(x), text);
      break;
    }
    case 'bpfDevice':
      attachDeviceProgram(open.get(at)!.fd, s1 as Uint8Array);
      break;
    case 'killCgroup':
      killAll(path, Number(x));
      break;
    case 'rmdir':
      removeDirectory(path, Number(x));
      break;
    default:
      throw new Error(`no cgroup step: ${op}`);
  }
}

/** Absent things are fine in the exit and teardown phases. */
function whilePresent<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function killAll(directory: string, waitMs: number): void {
  const end = Date.now() + waitMs;
  for (;;) {
    const pids = whilePresent(() => readFileSync(`${directory}/cgroup.procs`, 'utf8'))?.match(/\d+/g) ?? [];
    if (pids.length === 0) return;
    for (const pid of pids) killIfThere(Number(pid));
    if (Date.now() >= end) throw Object.assign(new Error('still busy'), {code: 'EBUSY'});
    pause(2);
  }
}

/** It may have ended since it was listed. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function removeDirectory(directory: string, waitMs: number): void {
  const end = Date.now() + waitMs;
  for (;;) {
    try {
      whilePresent(() => rmdirSync(directory));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || Date.now() >= end) throw error;
      pause(2);
    }
  }
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** The head of `union bpf_attr` for BPF_PROG_LOAD (linux/bpf.h); the kernel takes what follows as zero. */
const ProgramLoad = koffi.struct({
  prog_type: 'uint32',
  insn_cnt: 'uint32',
  insns: 'uint8_t *',
  license: 'const char *',
  log_level: 'uint32',
  log_size: 'uint32',
  log_buf: 'uint8_t *',
});
const ProgramAttach = koffi.struct({
  target_fd: 'uint32',
  attach_bpf_fd: 'uint32',
  attach_type: 'uint32',
  attach_flags: 'uint32',
});

/** bpf(2): load the program, attach it, let go of it; the cgroup keeps it. */
function attachDeviceProgram(cgroup: number, program: Uint8Array): void {
  const libc = koffi.load('libc.so.6');
  const bpf = (command: number, type: TypeObject, attributes: object) => {
    const syscall = libc.func('syscall', 'long', ['long', 'long', koffi.pointer(type), 'long']);
    return Number(syscall(process.arch === 'x64' ? 321 : 280, command, attributes, koffi.sizeof(type)));
  };
  const log = Buffer.alloc(65_536);
  const load = () =>
    bpf(5, ProgramLoad, {
      prog_type: 15, // BPF_PROG_TYPE_CGROUP_DEVICE
      insn_cnt: program.length / 8,
      insns: program,
      license: 'Apache-2.0',
      log_level: 1,
      log_size: log.length,
      log_buf: log, // the verifier says here why it refuses
    });
  // The verifier gives up with EAGAIN when a signal is pending, which V8's threads see to.
  let fd = load();
  for (let attempt = 0; fd < 0 && koffi.errno() === constants.errno.EAGAIN && attempt < 100; attempt++)
    fd = load();
  if (fd < 0)
    throw new Error(`BPF_PROG_LOAD: errno ${koffi.errno()}: ${log.toString('latin1').replace(/\0+$/, '')}`);
  // 6: BPF_CGROUP_DEVICE, 2: BPF_F_ALLOW_MULTI
  const attached = bpf(8, ProgramAttach, {
    target_fd: cgroup,
    attach_bpf_fd: fd,
    attach_type: 6,
    attach_flags: 2,
  });
  closeSync(fd);
  if (attached < 0) throw new Error(`BPF_PROG_ATTACH: errno ${koffi.errno()}`);
}
