/** What a container's monitor is told beside its plan: our policy, as numbers. Pure. */
import type {Orders} from '../binding/index.js';
import type {JournalPlaces} from '../store/index.js';
import type {ContainerConfig} from './container-config.js';
import {logOrders} from './log-config.js';
import {eventsToCome} from './record-events.js';
import type {RestartPolicy} from './run-options.js';

/** @param journal the store's, see `eventsToCome` @param alive the store's */
export function ordersOf(config: ContainerConfig, journal: JournalPlaces, alive: string): Orders {
  const {restart} = config;
  return {
    stdin: config.stdin === 'pipe',
    terminal: config.tty ?? false,
    ...logOrders(config),
    restart: restartOrder(restart),
    restartMost: restart?.name === 'on-failure' ? (restart.maximumRetries ?? 0) : 0,
    ...PAUSES,
    startDeadlineMs: config.startDeadlineMs,
    deadlineMs: config.deadlineMs ?? 0,
    rows: config.terminalSize?.rows ?? 0,
    columns: config.terminalSize?.columns ?? 0,
    alive,
    ...eventsToCome(config, journal),
  };
}

/** moby, restartmanager/restartmanager.go */
const PAUSES = {pauseFirstMs: 100, pauseFactor: 2, pauseMostMs: 60_000, pauseResetMs: 10_000};

/** To a monitor `unless-stopped` is `always`: who stops says that it is final. They differ at the next boot. */
function restartOrder(policy: RestartPolicy | undefined): Orders['restart'] {
  const {name} = policy ?? {name: 'no'};
  switch (name) {
    case 'no':
      return 'never';
    case 'on-failure':
      return 'onFailure';
    case 'always':
    case 'unless-stopped':
      return 'always';
    default:
      return name satisfies never;
  }
}
