import type {Limits, RunOptions} from '../sdk/index.js';

/** Of a sidecar: as many processes as it needs at most, and what the caller asks for, which is enforced or refused. */
export function sidecarLimits(
  processes: number,
  asked: Limits | undefined,
): Pick<RunOptions, 'limits' | 'whenUnavailable'> {
  const isAsked = Object.keys(asked ?? {}).length > 0;
  return {limits: {processes, ...asked}, whenUnavailable: isAsked ? 'error' : 'warn'};
}
