/**
 * What is remembered of a layer in registries, by its diff id: `distribution/HEX.json`. All of it is only good for doing
 * less: which repositories have it, so that a push need not send it again, and what it is when compressed.
 */
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {type Digest, hexOf, isDigest} from '../oci/index.js';
import {readRecord, type Store, writeRecord} from '../store/index.js';

export interface CompressedLayer {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export interface DistributionRecord {
  /** The latest first. */
  readonly sources: readonly LayerSource[];
  /** Of a layer that lies here uncompressed: as it was sent. */
  readonly compressed?: CompressedLayer;
}

/** That a repository had the layer as this blob. */
export interface LayerSource {
  readonly digest: Digest;
  readonly registry: string;
  readonly repository: string;
}

/** As many as dockerd keeps. */
const MOST_SOURCES = 50;

export function readDistribution(store: Store, diffId: Digest): DistributionRecord {
  let record: unknown;
  try {
    record = readRecord(pathOf(store, diffId));
  } catch {
    return {sources: []}; // damaged: it costs a look at the registry
  }
  const {
    version,
    sources = [],
    compressed,
  } = (record ?? {}) as Partial<DistributionRecord> & {version?: number};
  if (version !== 1 || !Array.isArray(sources)) return {sources: []};
  return {
    sources: sources.filter(source => isDigest(source?.digest)),
    ...(isDigest(compressed?.digest) && {compressed}),
  };
}

/** The layer is in that repository: it was pulled from there, or pushed to it. */
export function rememberSource(
  store: Store,
  diffId: Digest,
  source: LayerSource,
  compressed?: CompressedLayer,
): void {
  const known = readDistribution(store, diffId);
  const others = known.sources.filter(
    ({digest, registry, repository}) =>
      digest !== source.digest || registry !== source.registry || repository !== source.repository,
  );
  const kept = compressed ?? known.compressed;
  const [first] = known.sources;
  if (
    others.length === known.sources.length - 1 &&
    first?.repository === source.repository &&
    kept === known.compressed
  )
    return;
  mkdirSync(join(store.root, 'distribution'), {recursive: true, mode: 0o700});
  const record = {
    version: 1,
    sources: [source, ...others].slice(0, MOST_SOURCES),
    ...(kept && {compressed: kept}),
  };
  writeRecord(pathOf(store, diffId), record, {work: store.work, durable: false});
}

function pathOf(store: Store, diffId: Digest): string {
  return join(store.root, 'distribution', `${hexOf(diffId)}.json`);
}
