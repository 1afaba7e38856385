export type {Architecture} from './abis.js';
export {builtFilter} from './built-filter.js';
export {compileSeccomp} from './compile.js';
export {compiledSeccomp, seccompFlags, seccompKey} from './compiled-profile.js';
export {DOCKER_PROFILE} from './default-profile.js';
export {parseSeccompJson, parseSeccompProfile} from './parse-profile.js';
export type {
  Action,
  Comparison,
  Condition,
  FilterFlag,
  KernelVersion,
  Rule,
  RuleFilter,
  SeccompProfile,
} from './profile.js';
export type {SeccompEnvironment} from './select-rules.js';
export {explainSeccompDenial} from './syscall-numbers.js';
