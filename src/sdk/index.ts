export {
  Cutter,
  type CutterOptions,
  coreFile,
  Descriptor,
  dataRanges,
  EntryStatus,
  type FileStatus,
  FrameCompressor,
  FrameDecompressor,
  koffiAddon,
  LOCK_EXCLUSIVE,
  LOCK_SHARED,
  makeRaw,
  mknodBelow,
  openDirectory,
  packageRoot,
  readNumber,
  syncFileSystem,
  type TerminalSize,
  tryLock,
  widenPipe,
  zstdBound,
} from '../binding/index.js';
export type {Limits} from '../cgroup/index.js';
export {
  type CreateNetworkOptions,
  isPredefined,
  networkHas,
  networksOverlap,
  parseIp,
  parseNetwork,
  type SubnetOptions,
} from '../network/index.js';
export {
  type ContentDescriptor,
  type Digest,
  DOCUMENT_BYTES,
  digestOf,
  finishDigest,
  hexOf,
  isDigest,
  MEDIA_TYPES,
  readJson,
} from '../oci/index.js';
export {
  ByteReader,
  type Compression,
  checkArchive,
  compress,
  type DataRange,
  findLibraries,
  type KnownEntries,
  makeVolume,
  openedStatus,
  plainArchive,
  ReusedBuffers,
  replaceFile,
  type SecretFile,
  TAR_END,
  type TarEntry,
  type TarNode,
  type TarType,
  type WalkedEntry,
  Workspace,
  walkTree,
  writeSecret,
} from '../store/index.js';
export {announceBuild} from './announce-build.js';
export type {ArtifactPlace} from './artifact-place.js';
export {Attachment, type AttachOptions} from './attachment.js';
export {CAPABILITIES, type Capability, DOCKER_CAPABILITIES} from './capabilities.js';
export type {OutputChunk} from './captured-output.js';
export type {ConnectOptions} from './change-networks.js';
export {cleanPath} from './check-mounts.js';
export type {CommitContainerOptions} from './commit-container.js';
export {type Configuration, type LogLevel, readConfigFile} from './config-file.js';
export {
  type CallOptions,
  Container,
  RunningContainer,
  type StartedAttachment,
  type StartOptions,
  type StopOptions,
  type WaitOptions,
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
  isUp,
  type LastOutput,
  type SignalSender,
} from './container-state.js';
export {
  type ContainerStats,
  readStats,
  type StatsOptions,
  type StatsReading,
  statsBetween,
} from './container-stats.js';
export {
  archiveHostPath,
  extractOnHost,
  type GetArchiveOptions,
  hostPathStatus,
  type PathChange,
  type PathStatus,
  type PutArchiveOptions,
} from './copy-archive.js';
export {type Check, diagnose} from './diagnose.js';
export {DEFAULT_PATH} from './docker-defaults.js';
export {
  applySetting,
  argumentsOf,
  type CommandLine,
  type CopySources,
  DEFAULT_SHELL,
  DOCKERFILE_BYTES,
  describeSetting,
  expandStep,
  type Heredoc,
  type Instruction,
  type Of,
  parseDockerfile,
  parseInstruction,
  readInstruction,
  type Setting,
  type Settings,
  type Stage,
  type StagedDockerfile,
  type Step,
  syntaxError,
  workingDirectory,
} from './dockerfile/index.js';
export {tryExclusive} from './exclusive.js';
export {type ExecResult, RunningExec} from './exec.js';
export type {ExecOptions} from './exec-options.js';
export type {ExplainedStep} from './explain-plan.js';
export {type FamiliarName, familiarNameOf} from './familiar-name.js';
export type {Health, ProbeResult} from './health-state.js';
export {hasProbe} from './healthcheck.js';
export {type ContainerHold, type HeldStill, type Hold, holdContainers, holdStill} from './hold-still.js';
export {
  Image,
  type ImageImportOptions,
  type ImageLoadOptions,
  type ImageSaveOptions,
  type InRuntime,
} from './image.js';
export type {ImageHistoryEntry} from './image-history.js';
export {type ImageInspect, inspectArchivedImages} from './inspect-image.js';
export type {ContainerInspect} from './inspect-record.js';
export {type Link, parseLink} from './links.js';
export {fitsReference, type ImageListOptions} from './list-images.js';
export type {LoggedIn, LoginOptions} from './login.js';
export {mapLimited} from './map-limited.js';
export type {UpdatableLimits, UpdateOptions} from './merge-update.js';
export {checkNameServer, checkSearchDomain, parseExtraHost} from './name-resolution.js';
export {formatNanoseconds} from './nanosecond-time.js';
export {nearestName} from './nearest-name.js';
export {Network} from './network.js';
export {isMac, isOwnNetwork} from './normalize-networks.js';
export {parseDevice, parseDeviceRate, parseDeviceWeight} from './parse-device.js';
export {parseDeviceRule} from './parse-device-rule.js';
export {parseDuration} from './parse-duration.js';
export {parseEnvFile} from './parse-env-file.js';
export {parseGoDuration} from './parse-go-duration.js';
export {parseMount} from './parse-mount.js';
export {parseExpose, parsePublish} from './parse-port.js';
export {parseSignal, signalName} from './parse-signal.js';
export {parseSize} from './parse-size.js';
export {parseTmpfs} from './parse-tmpfs.js';
export {parseUlimit} from './parse-ulimit.js';
export {parseVolume} from './parse-volume.js';
export {PreparedContainer} from './prepared-container.js';
export {
  type DiskUsage,
  diskUsage,
  type ImageUsage,
  type Pruned,
  type PrunedImage,
  type PruneOptions,
  pruneContainers,
  pruneImages,
  pruneNetworks,
  pruneVolumes,
  type VolumeUsage,
} from './prune.js';
export {type BuildCacheUsage, buildCacheUsage, pruneBuilds} from './prune-builds.js';
export type {PullOptions, PullProgress} from './pull-image.js';
export type {PushOptions, PushProgress} from './push-image.js';
export type {LogEntry} from './read-log.js';
export {
  copyImage,
  listTags,
  login,
  loginOf,
  logout,
  openArtifactPlace,
  readManifest,
  searchImages,
  signImage,
  tagDates,
  verifyImage,
} from './registries.js';
export type {CopyOptions, RemoteManifest, SearchOptions} from './remote-images.js';
export type {ImageRemoveOptions} from './remove-image.js';
export {type ReplaceVolumeOptions, replaceVolume} from './replace-volume.js';
export {type AccountFiles, resolveUser} from './resolve-user.js';
export type {
  AsWritten,
  BindMount,
  Device,
  HealthcheckOptions,
  LogOptions,
  Mount,
  NetworkMode,
  NetworkOptions,
  PublishedPort,
  RestartPolicy,
  RunOptions,
  SeccompDocument,
  StdinSource,
  TmpfsMount,
  Ulimit,
  VolumeMount,
} from './run-options.js';
export {type RunningStep, runStep} from './run-step.js';
export {Runtime, type RuntimeOptions} from './runtime.js';
export {runtimeInfo, watching} from './runtime-info.js';
export {type ScratchVolume, scratchVolume} from './scratch-volume.js';
export type {SignOptions, VerifiedImage, VerifyOptions} from './sign-image.js';
export {type SnapshotMoment, snapshotVolumes, type VolumeSnapshots} from './snapshot-volumes.js';
export {splitCsv} from './split-csv.js';
export type {ProcessList} from './top.js';
export {VERSION} from './version.js';
export {Volume, type VolumeOptions} from './volume.js';
export type {Readiness, WaitForOptions} from './wait-for.js';
export {type EventsOptions, eventJson, type RuntimeEvent} from './watch-events.js';
