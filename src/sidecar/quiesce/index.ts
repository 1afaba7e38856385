/** Volumes that nobody changes while they are read. */
export type {HookCommand, HookOptions} from './hooks.js';
export {type VolumeSet, volumesOfSet} from './volume-set.js';
export {
  type Quiet,
  type QuietOptions,
  VOLUME_CONSISTENCIES,
  type VolumeConsistency,
  withQuiet,
} from './with-quiet.js';
