export type {
  CgroupCapability,
  CgroupDriver,
  CgroupJoin,
  CgroupRequest,
  CgroupSteps,
  DeviceRate,
  DeviceRule,
  ExitFacts,
  Limits,
  UpdateRequest,
} from './cgroup.js';
export {DEFAULT_PARENT, EXIT_REPORT} from './cgroup.js';
export type {DetectOptions} from './detect.js';
export {detectCgroups} from './detect.js';
export {DEFAULT_DEVICE_RULES} from './device-rules.js';
export {decodeExitReports, factsBetween, readCounters} from './exit-facts.js';
export {freeze, isFrozen, isPaused, pauseFile, thaw, thawNow} from './freezer.js';
export {killCgroup, processesIn, removeCgroup} from './kill-cgroup.js';
export {releaseFile, releaseKilled} from './release-killed.js';
export type {CgroupStatistics} from './statistics.js';
export {cpuPercent, readStatistics} from './statistics.js';
export {applyUpdate, isGone, type LimitUpdate} from './update-limits.js';
