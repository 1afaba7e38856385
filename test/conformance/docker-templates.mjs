// Templates for `docker inspect` made of the fields that the objects have: each field under every way of printing,
// then random combinations.

/** Go's names where they differ from the keys in JSON. */
const GO_NAMES = {
  Id: 'ID',
  Dns: 'DNS',
  DnsOptions: 'DNSOptions',
  DnsSearch: 'DNSSearch',
  CpuShares: 'CPUShares',
  NanoCpus: 'NanoCPUs',
  CpuPeriod: 'CPUPeriod',
  CpuQuota: 'CPUQuota',
  CpuCount: 'CPUCount',
  CpuPercent: 'CPUPercent',
  CpuRealtimePeriod: 'CPURealtimePeriod',
  CpuRealtimeRuntime: 'CPURealtimeRuntime',
  HostIp: 'HostIP',
  AuxiliaryAddresses: 'AuxAddress',
};
/** Fields that come from embedded structs, pointers that may be nil, and methods. */
const EXTRA = {
  container: [
    '.ContainerJSONBase',
    '.ContainerJSONBase.Name',
    '.HostConfig.Resources',
    '.HostConfig.Resources.Memory',
    '.HostConfig.Init',
    '.HostConfig.Isolation',
    '.HostConfig.Annotations',
    '.HostConfig.StorageOpt',
    '.HostConfig.Sysctls',
    '.HostConfig.Tmpfs',
    '.HostConfig.Mounts',
    '.HostConfig.KernelMemory',
    '.NetworkSettings.NetworkSettingsBase',
    '.NetworkSettings.DefaultNetworkSettings',
    '.NetworkSettings.DefaultNetworkSettings.IPAddress',
    '.State.Health',
    '.State.Health.Log',
    '.State.Health.Status',
    '.SizeRw',
    '.SizeRootFs',
    '.ImageManifestDescriptor',
    '.ImageManifestDescriptor.Digest',
    '.Config.Healthcheck',
    '.Config.Healthcheck.Interval',
    '.Config.Healthcheck.Interval.Seconds',
    '.Config.StopTimeout',
    '.Config.Shell',
    '.Config.MacAddress',
    '.Config.ArgsEscaped',
    ...[
      'IsNone',
      'IsDefault',
      'IsPrivate',
      'IsContainer',
      'ConnectedContainer',
      'UserDefined',
      'IsBridge',
      'IsHost',
      'IsUserDefined',
      'NetworkName',
    ].map(name => `.HostConfig.NetworkMode.${name}`),
    ...['IsPrivate', 'IsHost', 'IsShareable', 'IsContainer', 'IsNone', 'IsEmpty', 'Valid', 'Container'].map(
      name => `.HostConfig.IpcMode.${name}`,
    ),
    ...['IsPrivate', 'IsHost', 'IsContainer', 'Valid', 'Container'].map(
      name => `.HostConfig.PidMode.${name}`,
    ),
    ...['IsPrivate', 'IsHost', 'Valid'].flatMap(name => [
      `.HostConfig.UTSMode.${name}`,
      `.HostConfig.UsernsMode.${name}`,
    ]),
    ...['IsPrivate', 'IsHost', 'IsEmpty', 'Valid'].map(name => `.HostConfig.CgroupnsMode.${name}`),
    ...['IsContainer', 'Valid', 'Container'].map(name => `.HostConfig.Cgroup.${name}`),
    ...['IsDefault', 'IsHyperV', 'IsProcess', 'IsValid', 'IsHyperv'].map(
      name => `.HostConfig.Isolation.${name}`,
    ),
    ...['IsNone', 'IsAlways', 'IsOnFailure', 'IsUnlessStopped', 'IsSame', 'Validate'].map(
      name => `.HostConfig.RestartPolicy.${name}`,
    ),
    '(index .NetworkSettings.Networks "bridge").IPAMConfig',
    '(index .NetworkSettings.Networks "bridge").Copy',
    '(index .HostConfig.Ulimits 0)',
    '(index .HostConfig.Ulimits 0).String',
    '(index .HostConfig.Ulimits 0).GetRlimit',
    '(index .HostConfig.Devices 0).PathOnHost',
  ],
  image: [
    '.Metadata.LastTagTime',
    '.Metadata.LastTagTime.IsZero',
    '.RootFS.Layers',
    '.Config.ImageConfig',
    '.Config.DockerOCIImageConfigExt',
    '.Config.ImageConfig.Env',
    '.Config.DockerOCIImageConfigExt.Healthcheck',
    '.Descriptor',
    '.Manifests',
    '.Container',
    '.ContainerConfig',
    '.VirtualSize',
    '.Parent',
    '.Config.Healthcheck',
    '.Config.Image',
    '.Config.Hostname',
    '.Descriptor.Digest.Algorithm',
  ],
  volume: [
    '.ClusterVolume',
    '.ClusterVolume.Spec',
    '.UsageData',
    '.UsageData.Size',
    '.Status',
    '.Options',
    '.ID',
  ],
  network: [
    '.Peers',
    '.Services',
    '.Containers',
    '.IPAM.Config',
    '.Created.Year',
    '.Created.Unix',
    '.Created.Format "2006"',
    '.Created.UTC',
    '.Created.Location',
    '.Created.Weekday',
    '.Created.Month',
    '.Created.IsZero',
    '.Created.YearDay',
    '.Created.Nanosecond',
    '.Created.IsDST',
    '.Created.Clock',
    '(.Created.Truncate 1000000000)',
    '(.Created.Round 60000000000)',
    '.Created.ISOWeek',
    '.EnableIPv4',
  ],
};

const USES = [
  path => `{{${path}}}`,
  path => `{{printf "%T|%v|%+v" ${path} ${path} ${path}}}`,
  path => `{{printf "%#v" ${path}}}`,
  path => `{{printf "%s|%d|%q|%x" ${path} ${path} ${path} ${path}}}`,
  path => `{{json ${path}}}`,
  path => `{{len ${path}}}`,
  path => `{{range $k, $v := ${path}}}{{printf "%T=%v %T=%v" $k $k $v $v}},{{else}}none{{end}}`,
  path => `{{with ${path}}}{{.}}{{else}}none{{end}}`,
  path => `{{if ${path}}}yes{{else}}no{{end}}`,
  path => `{{index ${path} 0}}`,
  path => `{{index ${path} "a"}}`,
  path => `{{join ${path} ","}}`,
  path => `{{upper ${path}}}`,
  path => `{{eq ${path} "host"}}`,
  path => `{{eq ${path} 0}}`,
  path => `{{gt ${path} 1}}`,
  path => `{{${path}.Nope}}`,
  path => `{{${path}.x.y}}`,
  path => `{{${path} 1}}`,
  path => `{{slice ${path} 0 1}}`,
  path => `{{print ${path} nil ${path}}}`,
  path => `{{not ${path} | println ${path}}}`,
  path => `{{html ${path}}}{{js ${path}}}`,
  path => `{{truncate ${path} 3}}`,
];

/** @param {ReturnType<import('./generate.mjs').generator>} random */
export function typedTemplates(random, kind, documents, count) {
  const paths = [
    ...new Set([...documents.flatMap(text => pathsOf(JSON.parse(text), '', 4)), ...EXTRA[kind]]),
  ];
  const all = [];
  for (const path of paths) {
    all.push(USES[0](path), USES[1](path), USES[2](path), USES[4](path));
  }
  all.push(
    '{{printf "%+v" .}}',
    '{{printf "%#v" .}}',
    '{{printf "%T" .}}',
    '{{.}}',
    '{{json .}}',
    '{{println .}}',
    '{{range .}}{{end}}',
    '{{len .}}',
    '{{index . "Name"}}',
  );
  const combined = Array.from({length: count}, () => {
    const path = random.pick(paths);
    const use = random.pick(USES)(path);
    if (random.chance(0.6)) return use;
    const other = random.pick(USES)(random.pick(paths));
    return random.chance(0.5)
      ? use + other
      : `{{with ${path}}}{{$}}{{end}}`.replace('$', random.pick(['$.Name', '$.ID', '.', '$.Id']));
  });
  return [...sampled(random, all, count), ...combined];
}

function sampled(random, all, count) {
  return all.length <= count ? all : all.filter(() => random.chance(count / all.length));
}

function pathsOf(value, prefix, depth) {
  if (depth === 0 || typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.keys(value).flatMap(key => {
    const isName = /^[\p{L}_][\p{L}\p{N}_]*$/u.test(key);
    const names = isName
      ? [`${prefix}.${key}`, ...(GO_NAMES[key] ? [`${prefix}.${GO_NAMES[key]}`] : [])]
      : [];
    return names.flatMap(name => [name, ...pathsOf(value[key], name, depth - 1)]);
  });
}
