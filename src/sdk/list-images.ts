/** Which images `docker images` lists, by Docker's filters. */

import type {Store, StoredImage} from '../store/index.js';
import {pathMatches} from './path-match.js';

export interface ImageListOptions {
  /** Those without a name that others were made from as well. @default false */
  readonly all?: boolean;
  /** Only those without a tag, or only those with a name. @default both */
  readonly dangling?: boolean;
  /** Only those that have all of these, `key` or `key=value`. @default [] */
  readonly labels?: readonly string[];
  /** Only those with a name that fits one of these: `alpine`, `alpine:3.*`, `ghcr.io/owner/*`. @default any, or none */
  readonly references?: readonly string[];
  /** Only those made before this image was, by name or id. */
  readonly before?: string;
  /** Only those made after this image was, by name or id. */
  readonly since?: string;
  /** Only those made before this time. */
  readonly until?: Date;
}

/** Newest first. @throws `ERR_IMAGE_NOT_FOUND` for `before` and `since`, `ERR_INVALID_OPTION` for a pattern that is none */
export function listImages(store: Store, options: ImageListOptions = {}): StoredImage[] {
  const images = store.listImages();
  const parents = new Set(images.map(({parent}) => parent));
  const before = options.before === undefined ? undefined : madeAt(store.getImage(options.before));
  const since = options.since === undefined ? undefined : madeAt(store.getImage(options.since));
  return images.filter(image => {
    const made = madeAt(image);
    const {dangling, labels = [], references, all = false, until} = options;
    const names = [...image.repoTags, ...image.repoDigests];
    const isNamed = names.length > 0;
    return (
      (before === undefined || made < before) &&
      (since === undefined || made > since) &&
      (until === undefined || made < BigInt(until.getTime()) * 1_000_000n) &&
      labels.every(label => hasLabel(image, label)) &&
      (references === undefined || names.some(name => fitsReference(name, references))) &&
      (isNamed || all || !parents.has(image.id)) &&
      (dangling !== true || (image.repoTags.length === 0 && !parents.has(image.id))) &&
      (dangling !== false || isNamed)
    );
  });
}

/** Whether a name, as Docker prints it, fits one of these patterns, with its tag or without. */
export function fitsReference(name: string, patterns: readonly string[]): boolean {
  const bare = name.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
  return patterns.some(pattern => pathMatches(pattern, name) || pathMatches(pattern, bare));
}

/** In nanoseconds; long ago when it does not say. */
function madeAt({created}: StoredImage): bigint {
  const [, seconds = '', fraction = '', zone = ''] =
    /^(.*?)(?:\.(\d+))?(Z|[+-].{5})$/.exec(created ?? '') ?? [];
  const milliseconds = Date.parse(seconds + zone);
  if (Number.isNaN(milliseconds)) return LONG_AGO;
  return BigInt(milliseconds) * 1_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}

/** Go's zero time. */
const LONG_AGO = -62_135_596_800_000_000_000n;

function hasLabel({config}: StoredImage, wanted: string): boolean {
  const {Labels = {}} = config;
  const equals = wanted.indexOf('=');
  const key = equals === -1 ? wanted : wanted.slice(0, equals);
  return Object.hasOwn(Labels, key) && (equals === -1 || Labels[key] === wanted.slice(equals + 1));
}
