/**
 * What `docker rmi` takes away, by Docker's rules and words. Pure: this decides, `Images` acts.
 * @see https://github.com/moby/moby/blob/v20.10.24/daemon/images/image_delete.go
 */
import {CoracleError} from '../errors.js';
import {type Digest, hexOf} from '../oci/index.js';

export interface ImageUse {
  readonly containerId: string;
  readonly running: boolean;
}

export interface RemovalOptions {
  readonly force: boolean;
  /** Leave the images it was made from, which else go when nobody has them. */
  readonly keepParents: boolean;
  /** Which containers use an image; one that runs before others. */
  readonly use: (id: Digest) => ImageUse | undefined;
}

/** What the rules look at. */
export interface ImageRelations {
  /** Canonical names, sorted. */
  namesOf(id: Digest): readonly string[];
  parentOf(id: Digest): Digest | undefined;
  childrenOf(id: Digest): readonly Digest[];
}

export interface RemovalRequest {
  /** What the user wrote. */
  readonly asked: string;
  readonly id: Digest;
  /** The canonical name that it means; absent when it is an id or the beginning of one. */
  readonly name: string | undefined;
}

export interface Removal {
  /** Canonical names. */
  readonly untagged: readonly string[];
  /** Images, a child before its parent. */
  readonly images: readonly Digest[];
}

/** @throws `ERR_IMAGE_IN_USE` */
export function planRemoval(
  {asked, id, name}: RemovalRequest,
  relations: ImageRelations,
  options: RemovalOptions,
): Removal {
  const names = relations.namesOf(id);
  if (name === undefined) {
    const conflict = findConflict(id, isSingleReference(names) ? [] : names, relations, options);
    if (conflict !== undefined) throw conflict;
    return {untagged: names, images: withParents(id, relations, options)};
  }
  const user = options.use(id);
  if (!options.force && isSingleReference(names) && user !== undefined) {
    const container = user.containerId.slice(0, 12);
    throw conflicting(
      id,
      `unable to remove repository reference "${asked}" (must force) - container ${container} is using its referenced image ${shortOf(id)}`,
      user,
    );
  }
  const untagged = [name, ...orphanedBy(name, names)];
  const isNameless = untagged.length === names.length;
  const goes = isNameless && findConflict(id, [], relations, options) === undefined;
  return {untagged, images: goes ? withParents(id, relations, options) : []};
}

/** With the last tag of a repository its digests go: they came by that tag. */
function orphanedBy(name: string, names: readonly string[]): readonly string[] {
  const others = names.filter(other => other !== name && repositoryOf(other) === repositoryOf(name));
  return isDigested(name) || !others.every(isDigested) ? [] : others;
}

/** The image, and those it was made from that nobody has then. */
function withParents(id: Digest, relations: ImageRelations, {use, keepParents}: RemovalOptions): Digest[] {
  const images = [id];
  if (keepParents) return images;
  const isFree = (parent: Digest) =>
    relations.namesOf(parent).length === 0 &&
    relations.childrenOf(parent).every(child => images.includes(child)) &&
    use(parent) === undefined;
  for (
    let parent = relations.parentOf(id);
    parent !== undefined && isFree(parent);
    parent = relations.parentOf(parent)
  )
    images.push(parent);
  return images;
}

/** @param names that stand in the way */
function findConflict(
  id: Digest,
  names: readonly string[],
  relations: ImageRelations,
  {force, use}: RemovalOptions,
): CoracleError | undefined {
  const conflict = (how: string, why: string, user?: ImageUse) =>
    conflicting(id, `unable to delete ${shortOf(id)} (${how}) - ${why}`, user);
  if (relations.childrenOf(id).length > 0) {
    return conflict('cannot be forced', 'image has dependent child images');
  }
  const user = use(id);
  const container = user?.containerId.slice(0, 12);
  if (user?.running) {
    return conflict('cannot be forced', `image is being used by running container ${container}`, user);
  }
  if (force) return undefined;
  if (names.length > 0) return conflict('must be forced', 'image is referenced in multiple repositories');
  if (user === undefined) return undefined;
  return conflict('must be forced', `image is being used by stopped container ${container}`, user);
}

function conflicting(imageId: Digest, message: string, user: ImageUse | undefined): CoracleError {
  return new CoracleError('ERR_IMAGE_IN_USE', `conflict: ${message}`, {
    hint:
      user === undefined
        ? 'Name the tags to remove, or use --force.'
        : `Remove the container first: coracle rm ${user.containerId.slice(0, 12)}`,
    details: {imageId, ...(user && {containerId: user.containerId})},
  });
}

/** One repository, and in it at most one tag. */
function isSingleReference(names: readonly string[]): boolean {
  if (names.length <= 1) return names.length === 1;
  const isOneRepository = new Set(names.map(repositoryOf)).size === 1;
  return isOneRepository && names.filter(name => !isDigested(name)).length <= 1;
}

function isDigested(name: string): boolean {
  return name.includes('@');
}

/** Of a canonical name, which always has a domain: a colon before the last slash is a port's. */
function repositoryOf(name: string): string {
  const [undigested = ''] = name.split('@');
  return undigested.replace(/:[^:/]*$/, '');
}

function shortOf(id: Digest): string {
  return hexOf(id).slice(0, 12);
}
