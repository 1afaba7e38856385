/**
 * CPU time of the calling thread by the kernel's clock for it (CLOCK_THREAD_CPUTIME_ID, clock_gettime(2)). Read on
 * Node's main thread before and after a start it counts all of that thread's work in between, whichever callback it
 * happens in: our JavaScript, calls into the core, libuv's work for our descriptors, garbage that V8 collects on this
 * thread. Other threads (V8's concurrent marking, libuv's pool) hold nobody up and are not counted.
 */
import koffi from 'koffi';

const CLOCK_THREAD_CPUTIME_ID = 3;
const clockGettime = koffi.load('libc.so.6').func('int clock_gettime(int clock, void *time)');
const time = new BigInt64Array(2);

/** Since the thread began, milliseconds. */
export function threadCpuMs(): number {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, time);
  return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
}
