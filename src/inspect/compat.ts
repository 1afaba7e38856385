/**
 * Docker adds and removes fields over time. A profile is the difference between one release and the types of
 * `docker-types.ts` (28.2): the fields that release does not know, and those it declares with another type.
 * Both attempts of an inspection follow it: an absent field is missing from the typed view and from the raw JSON.
 */
export type Compat = '20.10' | '24' | '28' | '29';

export interface Profile {
  /** `Type.Field` */
  readonly absent: ReadonlySet<string>;
  /** `Type.Field` → type, in the notation of `docker-types.ts`. */
  readonly retyped: Readonly<Record<string, string>>;
}

/** Keeps everything that scripts in the field use, `.NetworkSettings.IPAddress` for one. */
export const DEFAULT_COMPAT: Compat = '28';

const fields = (type: string, names: string): string[] => names.split(' ').map(name => `${type}.${name}`);

const since25 = () => [
  'container.InspectResponse.ImageManifestDescriptor',
  ...fields('network.EndpointSettings', 'DNSNames GwPriority'),
  'v1.HealthcheckConfig.StartInterval',
  ...fields('mount.BindOptions', 'ReadOnlyNonRecursive ReadOnlyForceRecursive'),
  'mount.VolumeOptions.Subpath',
  'mount.Mount.ImageOptions',
  'mount.TmpfsOptions.Options',
  'network.Inspect.EnableIPv4',
  ...fields('image.InspectResponse', 'Descriptor Manifests'),
];

const since23 = () => [
  'container.HostConfig.Annotations',
  'mount.Mount.ClusterOptions',
  'mount.BindOptions.CreateMountpoint',
  'volume.Volume.ClusterVolume',
];

const until28 = () => [
  ...fields(
    'container.NetworkSettingsBase',
    'Bridge HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen SecondaryIPAddresses SecondaryIPv6Addresses',
  ),
  ...fields(
    'container.DefaultNetworkSettings',
    'EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen IPAddress IPPrefixLen IPv6Gateway MacAddress',
  ),
  'container.Config.MacAddress',
  ...fields('container.Resources', 'KernelMemory KernelMemoryTCP'),
  ...fields('image.InspectResponse', 'Parent Container ContainerConfig DockerVersion VirtualSize'),
];

const OLD_IMAGE = {'image.InspectResponse.Config': '*container.Config'};

/** Made when they are asked for: hardly anybody does. */
const PROFILES: Readonly<Record<Compat, () => Profile>> = {
  '20.10': () => ({absent: new Set([...since25(), ...since23()]), retyped: OLD_IMAGE}),
  '24': () => ({absent: new Set(since25()), retyped: OLD_IMAGE}),
  '28': () => ({absent: new Set(), retyped: {}}),
  '29': () => ({absent: new Set(until28()), retyped: {}}),
};

export const COMPATS = Object.keys(PROFILES) as readonly Compat[];

export const profileOf = (compat: Compat): Profile => PROFILES[compat]();
