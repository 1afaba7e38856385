/**
 * Docker's Go structs behind `docker info`, `version` and `events`, in the notation of docker-types.ts, as of its command
 * line 28.2. Of what belongs to Swarm and to registries only the names are here.
 */
export const SYSTEM_TYPES = `
events.Message {
  Status string "status" omitempty
  ID string "id" omitempty
  From string "from" omitempty
  Type events.Type
  Action events.Action
  Actor events.Actor
  Scope string "scope" omitempty
  Time int64 "time" omitempty
  TimeNano int64 "timeNano" omitempty
}
events.Type string
events.Action string
events.Actor {
  ID string
  Attributes map[string]string
}
system.dockerInfo {
  *system.Info
  ServerErrors []string omitempty
  UserName string "-"
  ClientInfo *system.clientInfo omitempty
  ClientErrors []string omitempty
}
system.Info {
  ID string
  Containers int
  ContainersRunning int
  ContainersPaused int
  ContainersStopped int
  Images int
  Driver string
  DriverStatus [][2]string
  SystemStatus [][2]string omitempty
  Plugins system.PluginsInfo
  MemoryLimit bool
  SwapLimit bool
  KernelMemory bool omitempty
  KernelMemoryTCP bool omitempty
  CPUCfsPeriod bool "CpuCfsPeriod"
  CPUCfsQuota bool "CpuCfsQuota"
  CPUShares bool
  CPUSet bool
  PidsLimit bool
  IPv4Forwarding bool
  Debug bool
  NFd int
  OomKillDisable bool
  NGoroutines int
  SystemTime string
  LoggingDriver string
  CgroupDriver string
  CgroupVersion string omitempty
  NEventsListener int
  KernelVersion string
  OperatingSystem string
  OSVersion string
  OSType string
  Architecture string
  IndexServerAddress string
  RegistryConfig *registry.ServiceConfig
  NCPU int
  MemTotal int64
  GenericResources []any
  DockerRootDir string
  HTTPProxy string "HttpProxy"
  HTTPSProxy string "HttpsProxy"
  NoProxy string
  Name string
  Labels []string
  ExperimentalBuild bool
  ServerVersion string
  Runtimes map[string]system.RuntimeWithStatus
  DefaultRuntime string
  Swarm swarm.Info
  LiveRestoreEnabled bool
  Isolation container.Isolation
  InitBinary string
  ContainerdCommit system.Commit
  RuncCommit system.Commit
  InitCommit system.Commit
  SecurityOptions []string
  ProductLicense string omitempty
  DefaultAddressPools []system.NetworkAddressPool omitempty
  FirewallBackend *system.FirewallInfo omitempty
  CDISpecDirs []string
  DiscoveredDevices []system.DeviceInfo omitempty
  Containerd *system.ContainerdInfo omitempty
  Warnings []string
}
system.PluginsInfo {
  Volume []string
  Network []string
  Authorization []string
  Log []string
}
system.RuntimeWithStatus {
  system.Runtime
  Status map[string]string "status" omitempty
}
system.Runtime {
  Path string "path" omitempty
  Args []string "runtimeArgs" omitempty
  Type string "runtimeType" omitempty
  Options map[string]any "options" omitempty
}
system.Commit {
  ID string
  Expected string omitempty
}
system.NetworkAddressPool {
  Base string
  Size int
}
system.FirewallInfo {
  Driver string
  Info [][2]string omitempty
}
system.DeviceInfo {
  Source string
  ID string
}
system.ContainerdInfo {
  Address string omitempty
  Namespaces system.ContainerdNamespaces
}
system.ContainerdNamespaces {
  Containers string
  Plugins string
}
registry.ServiceConfig {
  InsecureRegistryCIDRs []string
  IndexConfigs map[string]*registry.IndexInfo
  Mirrors []string
}
registry.IndexInfo {
  Name string
  Mirrors []string
  Secure bool
  Official bool
}
swarm.Info {
  NodeID string
  NodeAddr string
  LocalNodeState swarm.LocalNodeState
  ControlAvailable bool
  Error string
  RemoteManagers []swarm.Peer
  Nodes int omitempty
  Managers int omitempty
  Warnings []string omitempty
}
swarm.LocalNodeState string
swarm.Peer {
  NodeID string
  Addr string
}
system.clientInfo {
  Debug bool
  system.clientVersion
  Plugins []any
  Warnings []string
}
system.clientVersion {
  Platform *system.platformInfo omitempty
  Version string omitempty
  APIVersion string "ApiVersion" omitempty
  DefaultAPIVersion string "DefaultAPIVersion" omitempty
  GitCommit string
  GoVersion string
  Os string
  Arch string
  BuildTime string omitempty
  Context string
}
system.platformInfo {
  Name string omitempty
}
system.versionInfo {
  Client system.clientVersion
  Server *types.Version
}
types.Version {
  Platform types.platform
  Components []types.ComponentVersion omitempty
  Version string
  APIVersion string "ApiVersion"
  MinAPIVersion string omitempty
  GitCommit string
  GoVersion string
  Os string
  Arch string
  KernelVersion string omitempty
  Experimental bool omitempty
  BuildTime string omitempty
}
types.platform {
  Name string
}
types.ComponentVersion {
  Name string
  Version string
  Details map[string]string omitempty
}
`;
