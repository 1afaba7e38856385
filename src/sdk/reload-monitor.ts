/** Tells the monitor of a container that its `plan.bin` was replaced. */
import {encodeAsk, errnoName} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import type {MonitorConnection} from './monitor-connection.js';

const ESRCH = 3;
const EAGAIN = 11;

/**
 * One that has ended meanwhile is fine: the next start makes a plan of its own.
 * @param afterStart what is done to a run that was being started, with the plan as it was, when the monitor was told
 * @throws `ERR_MONITOR_VERSION` when it does not understand what stands there
 */
export async function reload(
  monitor: MonitorConnection,
  afterStart: () => Promise<unknown> = async () => {},
): Promise<void> {
  const next = monitor.next(({type}) => (type === 'started' || type === 'failed' ? type : undefined));
  const errno = await monitor.ask(encodeAsk('reload'));
  if (errno === 0 || errno === ESRCH) return;
  if (errno !== EAGAIN) {
    throw new CoracleError(
      'ERR_MONITOR_VERSION',
      `the container's monitor does not take this release's plan: ${errnoName(-errno)}`,
      {hint: 'Stop the container and start it again.'},
    );
  }
  await next;
  await afterStart();
}
