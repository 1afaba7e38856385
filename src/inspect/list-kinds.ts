/** What `docker ps`, `images`, `volume ls` and their like know about their columns: placeholders, titles, formats. */
export type ListKind =
  | 'container'
  | 'image'
  | 'volume'
  | 'network'
  | 'stats'
  | 'history'
  | 'search'
  | 'diskUsage';

export interface ListDescription {
  /** Go's name of the type behind `.`, which errors mention. */
  readonly context: string;
  /** Its fields that templates cannot see: naming one is an error of its own. */
  readonly unexported: readonly string[];
  /** Objects have labels to ask for: `.Label "name"`. */
  readonly hasLabels?: true;
  /** Yes or no: `[OK]` or nothing in a row, `true` or `false` in JSON. */
  readonly checkMarks?: readonly string[];
  /** Titles that no row has a value for: in a row they are unknown. */
  readonly titlesOnly?: readonly string[];
  /** Column titles by placeholder. */
  readonly headers: Readonly<Record<string, string>>;
  readonly table: string;
  readonly raw?: string;
  readonly quiet?: string;
  readonly quietRaw?: string;
  /** `docker ps` tries the template on an empty row first and reports its errors in other words. */
  readonly triesFirst?: Readonly<Record<string, string | null>>;
}

export const LISTS: Readonly<Record<ListKind, ListDescription>> = {
  container: {
    context: 'formatter.ContainerContext',
    unexported: ['trunc', 'c'],
    hasLabels: true,
    headers: {
      ID: 'CONTAINER ID',
      Names: 'NAMES',
      Image: 'IMAGE',
      Command: 'COMMAND',
      CreatedAt: 'CREATED AT',
      RunningFor: 'CREATED',
      Ports: 'PORTS',
      State: 'STATE',
      Status: 'STATUS',
      Size: 'SIZE',
      Labels: 'LABELS',
      Mounts: 'MOUNTS',
      LocalVolumes: 'LOCAL VOLUMES',
      Networks: 'NETWORKS',
      Platform: 'PLATFORM',
    },
    table: 'table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}',
    raw:
      'container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n' +
      'state: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\n' +
      'labels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n',
    quiet: '{{.ID}}',
    quietRaw: 'container_id: {{.ID}}',
    triesFirst: {
      ID: '',
      Names: '',
      Image: '<no image>',
      Command: '""',
      CreatedAt: '1970-01-01 00:00:00 +0000 UTC',
      RunningFor: '56 years ago',
      Ports: '',
      State: '',
      Status: '',
      Size: '0B',
      Labels: '',
      Mounts: '',
      LocalVolumes: '0',
      Networks: '',
      Platform: null,
    },
  },
  image: {
    context: 'formatter.imageContext',
    unexported: ['trunc', 'i', 'repo', 'tag', 'digest'],
    headers: {
      ID: 'IMAGE ID',
      Repository: 'REPOSITORY',
      Tag: 'TAG',
      Digest: 'DIGEST',
      CreatedSince: 'CREATED',
      CreatedAt: 'CREATED AT',
      Size: 'SIZE',
      Containers: 'CONTAINERS',
      VirtualSize: 'SIZE',
      SharedSize: 'SHARED SIZE',
      UniqueSize: 'UNIQUE SIZE',
    },
    table:
      'table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}',
    raw:
      'repository: {{ .Repository }}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\n' +
      'virtual_size: {{.Size}}\n',
    quiet: '{{.ID}}',
    quietRaw: 'image_id: {{.ID}}',
  },
  volume: {
    context: 'formatter.volumeContext',
    unexported: ['v'],
    hasLabels: true,
    titlesOnly: ['ID'],
    headers: {
      ID: 'ID',
      Name: 'VOLUME NAME',
      Group: 'GROUP',
      Driver: 'DRIVER',
      Scope: 'SCOPE',
      Availability: 'AVAILABILITY',
      Mountpoint: 'MOUNTPOINT',
      Labels: 'LABELS',
      Links: 'LINKS',
      Size: 'SIZE',
      Status: 'STATUS',
    },
    table: 'table {{.Driver}}\t{{.Name}}',
    raw: 'name: {{.Name}}\\ndriver: {{.Driver}}\\n',
    quiet: '{{.Name}}',
    quietRaw: 'name: {{.Name}}',
  },
  network: {
    context: 'network.networkContext',
    unexported: ['trunc', 'n'],
    hasLabels: true,
    headers: {
      ID: 'NETWORK ID',
      Name: 'NAME',
      Driver: 'DRIVER',
      Scope: 'SCOPE',
      IPv4: 'IPV4',
      IPv6: 'IPV6',
      Internal: 'INTERNAL',
      Labels: 'LABELS',
      CreatedAt: 'CREATED AT',
    },
    table: 'table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}',
    raw: 'network_id: {{.ID}}\\nname: {{.Name}}\\ndriver: {{.Driver}}\\nscope: {{.Scope}}\\n',
    quiet: '{{.ID}}',
    quietRaw: 'network_id: {{.ID}}',
  },
  stats: {
    context: 'container.statsContext',
    unexported: ['s', 'os', 'trunc'],
    headers: {
      Container: 'CONTAINER',
      Name: 'NAME',
      ID: 'CONTAINER ID',
      CPUPerc: 'CPU %',
      MemUsage: 'MEM USAGE / LIMIT',
      MemPerc: 'MEM %',
      NetIO: 'NET I/O',
      BlockIO: 'BLOCK I/O',
      PIDs: 'PIDS',
    },
    table:
      'table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}',
  },
  history: {
    context: 'image.historyContext',
    unexported: ['trunc', 'human', 'h'],
    headers: {
      ID: 'IMAGE',
      CreatedSince: 'CREATED',
      CreatedAt: 'CREATED AT',
      CreatedBy: 'CREATED BY',
      Size: 'SIZE',
      Comment: 'COMMENT',
    },
    table:
      'table {{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}',
    quiet: '{{.ID}}',
  },
  search: {
    context: 'registry.searchContext',
    checkMarks: ['IsOfficial'],
    unexported: ['trunc', 's'],
    headers: {
      Name: 'NAME',
      Description: 'DESCRIPTION',
      StarCount: 'STARS',
      IsOfficial: 'OFFICIAL',
    },
    table: 'table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}',
  },
  diskUsage: {
    context: 'formatter.diskUsageImagesContext',
    unexported: ['totalSize', 'images'],
    headers: {
      Type: 'TYPE',
      TotalCount: 'TOTAL',
      Active: 'ACTIVE',
      Size: 'SIZE',
      Reclaimable: 'RECLAIMABLE',
    },
    table: 'table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}',
  },
};
