/** What a stage has come to: the image that it would be if it ended here. Values, never changed. */
import {type ContainerDefaults, type Digest, digestOf, type HistoryEntry} from '../oci/index.js';
import type {Settings} from '../sdk/index.js';
import type {BuiltLayer} from '../store/index.js';

export interface ImageState extends Settings {
  readonly layers: readonly BuiltLayer[];
  readonly history: readonly HistoryEntry[];
  /** Fields of the configuration that say for which machines it is. */
  readonly platform: Readonly<Record<string, unknown>>;
  /** RFC 3339, of the last step. */
  readonly created: string | undefined;
  /** The image of the store that its first step was done on; undefined for none. */
  readonly parent: Digest | undefined;
  /** It is that image: no step was done on it. */
  readonly isParent: boolean;
  /** What it came from and how: equal for what need not be done again. */
  readonly key: Digest;
}

/** After one more step. @param layer null when it changed no file */
export function afterStep(
  state: ImageState,
  settings: Settings,
  step: {
    readonly key: Digest;
    readonly createdBy: string;
    readonly created: string;
    readonly layer: BuiltLayer | null;
  },
): ImageState {
  const {key, createdBy, created, layer} = step;
  const {config, author, hasCommand} = settings;
  const entry: HistoryEntry = {
    created,
    ...(author !== undefined && {author}),
    created_by: createdBy,
    ...(layer === null && {empty_layer: true}),
  };
  return {
    ...state,
    config,
    author,
    hasCommand,
    layers: layer === null ? state.layers : [...state.layers, layer],
    history: [...state.history, entry],
    created,
    key,
    isParent: false,
  };
}

/** The document whose digest is the image's id. */
export function imageDocument({config, author, layers, history, platform, created}: ImageState): Buffer {
  return Buffer.from(
    JSON.stringify({
      ...(created !== undefined && {created}),
      ...(author !== undefined && {author}),
      ...platform,
      config,
      rootfs: {type: 'layers', diff_ids: layers.map(({diffId}) => diffId)},
      history,
    }),
  );
}

export function withConfig(state: ImageState, config: ContainerDefaults): ImageState {
  return {...state, config};
}

/** The key of what follows: everything that decides what it makes. */
export function nextKey(before: Digest, ...facts: readonly unknown[]): Digest {
  return digestOf(JSON.stringify([before, ...facts]));
}
