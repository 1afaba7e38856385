export {
  ABI,
  CLD,
  CLONE_FORK,
  type ExitedEvent,
  type FailedEvent,
  type ReadyEvent,
  type RemovedEvent,
  STEP_LAYOUT,
  type StartedEvent,
  TARGET_GIVES_MODE,
  TARGET_NOT_IN_PROC,
} from './abi.js';
export {
  ATTACH,
  CONTROL_VERSION,
  decodeSaid,
  EVENT_EXEC_ID,
  EVENT_EXIT_CODE,
  EVENT_TIME,
  encodeAsk,
  encodeHealthOrders,
  encodeOrders,
  encodeResize,
  encodeSignal,
  FAILED_AT,
  type HealthOrders,
  LOG_ENTRY,
  type MonitorEvent,
  type Orders,
  RECORD_BYTES_MAX,
  RECORD_HEAD_BYTES,
} from './control.js';
export {Cutter, type CutterOptions} from './cutter.js';
export {encodePlan, stepAt, withOrders} from './encode-plan.js';
export {
  chmodBelow,
  chownBelow,
  copyContent,
  Descriptor,
  type DirectoryEntry,
  dataRanges,
  EntryStatus,
  entryStatusBelow,
  type FileStatus,
  fileSystemMagic,
  getXattrBelow,
  isErrno,
  LOCK_EXCLUSIVE,
  LOCK_NONE,
  LOCK_SHARED,
  linkBelow,
  listXattrsBelow,
  mkdirBelow,
  mkdirsBelow,
  mknodBelow,
  O_PATH,
  openBelow,
  openDirectory,
  openPipe,
  openSocketPair,
  type Path,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  readDirectory,
  readFileBelow,
  readlinkBelow,
  readNumber,
  removeTree,
  removeTreeSync,
  removeXattrBelow,
  renameBelow,
  rmdirBelow,
  setXattrBelow,
  spreadDirectories,
  statBelow,
  symlinkBelow,
  syncFileSystem,
  tryLock,
  tryStatBelow,
  unlinkBelow,
  utimesBelow,
  widenPipe,
  writeWhole,
} from './files.js';
export {isHostRoot} from './host-root.js';
export {type Input, Inputs} from './inputs.js';
export {readKernelLog} from './kernel-log.js';
export {Launcher, launcherLost, planFile, type StartEvents, type StartRequest} from './launcher.js';
export * from './linux.js';
export {
  type CoreFile,
  checked,
  checkKernel,
  coreFile,
  declare,
  declareIn,
  errnoName,
  koffiAddon,
  type NativeFunction,
  packageRoot,
  requireCore,
  type SystemLibrary,
} from './native.js';
export {NETLINK_NETFILTER, NETLINK_ROUTE, requestNetlink} from './netlink.js';
export {identifyProcess, isAlive, openProcess, type ProcessIdentity, signalProcess} from './processes.js';
export * from './steps.js';
export {copySubvolume, isSubvolume, tryMakeSubvolume, tryRemoveSubvolume} from './subvolumes.js';
export {makeRaw, readableBytes, receiveDescriptor, setTerminalSize, type TerminalSize} from './terminal.js';
export {
  encodeNewEntry,
  type FoundEntry,
  makeEntries,
  NEW_ENTRY_BYTES,
  type NewEntry,
  newEntryContent,
  readEntries,
  readStatuses,
} from './trees.js';
export {cloneContent, type WalkChange, type WalkedEntry, WalkedTree} from './walk.js';
export {compressZstd, decompressZstd} from './zstd.js';
export {FrameCompressor, FrameDecompressor, zstdBound} from './zstd-frames.js';
