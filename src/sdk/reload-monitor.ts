/** A monitor whose container was changed: what it is given to read, and how it is told. */
import {readFileSync} from 'node:fs';
import {encodeAsk, encodeOrders, encodePlan, errnoName, withOrders} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import type {ContainerRecord} from './container-files.js';
import type {MonitorConnection} from './monitor-connection.js';
import {ordersOf} from './monitor-orders.js';
import type {Runtime} from './runtime.js';
import {preparePlan} from './start-detached.js';

/** The whole of `plan.bin` for one whose steps have changed. @throws `ERR_MONITOR_VERSION` and what a start throws before it begins */
export function planFor(runtime: Runtime, record: ContainerRecord, monitor: MonitorConnection): Buffer {
  const {plan} = preparePlan(runtime, record);
  if (!monitor.takes(plan)) {
    throw new CoracleError(
      'ERR_MONITOR_VERSION',
      `Cannot update container ${record.id}: its monitor is of an older release, and cannot start it by this one's plan`,
      {hint: 'Stop the container, update it, and start it again.'},
    );
  }
  return encodePlan(plan, encodedOrders(runtime, record));
}

/** For one that has another name: that is in its events, and for one that removes itself, or is found by it on a network, in a step of its teardown. */
export function planWithName(runtime: Runtime, record: ContainerRecord, monitor: MonitorConnection): Buffer {
  const hasNames = record.networks?.some(({networkId}) => networkId !== undefined) ?? false;
  if ((record.autoRemove || hasNames) && monitor.reloadsTeardown) return planFor(runtime, record, monitor);
  const present = readFileSync(`${runtime.placesOf(record).directory}/plan.bin`);
  return withOrders(present, encodedOrders(runtime, record));
}

function encodedOrders(runtime: Runtime, record: ContainerRecord): Buffer {
  return encodeOrders(ordersOf(record, runtime.store.events.places, runtime.store.alive));
}

const ESRCH = 3;
const EAGAIN = 11;

/**
 * One that has ended meanwhile is fine: the next start makes a plan of its own.
 * @param afterwards what is done once the monitor knows: to a run that began, or was being started, with the plan as it was
 * @throws `ERR_MONITOR_VERSION` when it does not understand what stands there
 */
export async function reload(
  monitor: MonitorConnection,
  afterwards: () => Promise<unknown> = async () => {},
): Promise<void> {
  const next = monitor.next(({type}) => (type === 'started' || type === 'failed' ? type : undefined));
  const errno = await monitor.ask(encodeAsk('reload'));
  if (errno === ESRCH) return;
  if (errno !== 0 && errno !== EAGAIN) {
    throw new CoracleError(
      'ERR_MONITOR_VERSION',
      `the container's monitor does not take this release's plan: ${errnoName(-errno)}`,
      {hint: 'Stop the container and start it again.'},
    );
  }
  if (errno === EAGAIN) await next;
  await afterwards();
}
