export {makeTerminalRaw} from '../binding/index.js';
export type {Limits} from '../cgroup/index.js';
export {Attachment, type AttachOptions} from './attachment.js';
export {CAPABILITIES, type Capability, DOCKER_CAPABILITIES} from './capabilities.js';
export type {OutputChunk} from './captured-output.js';
export {type Configuration, type LogLevel, readConfigFile} from './config-file.js';
export {
  type CallOptions,
  Container,
  RunningContainer,
  type StartedAttachment,
  type StartOptions,
  type StopOptions,
} from './container.js';
export type {ContainerConfig} from './container-config.js';
export type {LogsOptions} from './container-logs.js';
export {
  type CauseOfDeath,
  type ContainerState,
  describeExit,
  dockerExitCode,
  type Exit,
  type ExitStatus,
  type LastOutput,
  type SignalSender,
} from './container-state.js';
export {type Check, diagnose} from './diagnose.js';
export type {ExplainedStep} from './explain-plan.js';
export {Image, type ImageImportOptions, type ImageInspect, type InRuntime} from './image.js';
export type {ContainerInspect} from './inspect-record.js';
export {parseDevice, parseDeviceRate, parseDeviceWeight} from './parse-device.js';
export {parseDuration} from './parse-duration.js';
export {parseEnvFile} from './parse-env-file.js';
export {parseMount} from './parse-mount.js';
export {parseSignal, signalName} from './parse-signal.js';
export {parseSize} from './parse-size.js';
export {parseTimestamp} from './parse-timestamp.js';
export {parseTmpfs} from './parse-tmpfs.js';
export {parseUlimit} from './parse-ulimit.js';
export {parseVolume} from './parse-volume.js';
export {PreparedContainer} from './prepared-container.js';
export type {LogEntry} from './read-log.js';
export type {
  BindMount,
  Device,
  LogOptions,
  Mount,
  RestartPolicy,
  RunOptions,
  SeccompDocument,
  StdinSource,
  TmpfsMount,
  Ulimit,
  VolumeMount,
} from './run-options.js';
export {Runtime, type RuntimeOptions} from './runtime.js';
export {runtimeInfo} from './runtime-info.js';
export {VERSION} from './version.js';
export {Volume, type VolumeOptions} from './volume.js';
