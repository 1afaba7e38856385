/** Coracle's public face: what is not named here does not exist for users. */
import type {buildImage} from './build/index.js';
import {Image} from './sdk/index.js';

declare module './sdk/image.js' {
  /** Images and builds do not know each other: they meet here. */
  namespace Image {
    /** Makes an image as a Dockerfile says. @see buildImage */
    let build: typeof buildImage;
  }
}

// Loaded with the first build: most programs have none.
Image.build = async (context, options, in_) =>
  (await import('./build/index.js')).buildImage(context, options, in_);

export type {BuildContext, BuildOptions, BuildProgress, BuildSecret} from './build/index.js';
export {CoracleError, NativeFailure} from './errors.js';
export {
  Attachment,
  type AttachOptions,
  type BindMount,
  CAPABILITIES,
  type CallOptions,
  type Capability,
  type CauseOfDeath,
  type CommitContainerOptions,
  type ConnectOptions,
  Container,
  type ContainerInspect,
  type ContainerState,
  type ContainerStats,
  type CreateNetworkOptions,
  type Device,
  type DiskUsage,
  DOCKER_CAPABILITIES,
  describeExit,
  diskUsage,
  dockerExitCode,
  type EventsOptions,
  type ExecOptions,
  type ExecResult,
  type Exit,
  type ExitStatus,
  type ExplainedStep,
  type GetArchiveOptions,
  type Health,
  type HealthcheckOptions,
  type ImageImportOptions,
  type ImageInspect,
  type ImageUsage,
  type InRuntime,
  type LastOutput,
  type Limits,
  type LogEntry,
  type LogOptions,
  type LogsOptions,
  type Mount,
  Network,
  type NetworkMode,
  type NetworkOptions,
  type OutputChunk,
  type PathChange,
  type PathStatus,
  PreparedContainer,
  type ProbeResult,
  type ProcessList,
  type Pruned,
  type PrunedImage,
  type PruneOptions,
  type PublishedPort,
  type PutArchiveOptions,
  pruneContainers,
  pruneImages,
  pruneNetworks,
  pruneVolumes,
  type Readiness,
  type RestartPolicy,
  RunningContainer,
  RunningExec,
  type RunOptions,
  Runtime,
  type RuntimeEvent,
  type RuntimeOptions,
  type SeccompDocument,
  type SignalSender,
  type StartedAttachment,
  type StartOptions,
  type StatsOptions,
  type StdinSource,
  type StopOptions,
  type SubnetOptions,
  type TerminalSize,
  type TmpfsMount,
  type Ulimit,
  type UpdatableLimits,
  type UpdateOptions,
  Volume,
  type VolumeMount,
  type VolumeOptions,
  type VolumeUsage,
  type WaitForOptions,
  type WaitOptions,
} from './sdk/index.js';
export type {ImageUse, RemovedImage, VolumeRecord} from './store/index.js';
export {Image};
