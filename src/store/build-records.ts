/**
 * What builds remember of their steps: `build/HEX.json` each, by a digest of everything that decides what the step makes. A
 * layer that is remembered stays, whatever becomes of the images that have it, until it is forgotten.
 */
import {readdirSync, rmSync, statSync, utimesSync} from 'node:fs';
import {join} from 'node:path';
import {CoracleError} from '../errors.js';
import {type Digest, hexOf, isDigest, object, optional} from '../oci/index.js';
import {readRecord, writeRecord} from './records.js';

/** A layer of the store: unpacked, and as an archive. */
export interface BuiltLayer {
  readonly diffId: Digest;
  /** Its archive; its own digest when that is plain. */
  readonly blob: Digest;
  /** Bytes of the archive. */
  readonly size: number;
}

/** What is remembered of one step: `build/HEX.json`. */
export interface BuildRecord {
  readonly version: 1;
  /** RFC 3339 */
  readonly created: string;
  /** Null: it changed no file. */
  readonly layer: BuiltLayer | null;
}

/** Not used for so long, they are forgotten at the end of a build. */
const KEPT_MS = 30 * 24 * 3600 * 1000;
const RECORDS_MOST = 5000;

/** Undefined when there is none, or one that a power cut left half. */
export function readBuildRecord(records: string, key: Digest): BuildRecord | undefined {
  return readAt(pathOf(records, key));
}

/** Not safe from a power cut: then the step is done again. */
export function writeBuildRecord(
  records: string,
  key: Digest,
  {created, layer}: Omit<BuildRecord, 'version'>,
  work: string,
): void {
  const record: BuildRecord = {version: 1, created, layer};
  writeRecord(pathOf(records, key), record, {durable: false, work});
}

/** It was of use just now. */
export function touchBuildRecord(records: string, key: Digest): void {
  const now = new Date();
  try {
    utimesSync(pathOf(records, key), now, now);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // forgotten meanwhile
  }
}

function pathOf(records: string, key: Digest): string {
  return join(records, `${hexOf(key)}.json`);
}

interface Remembered {
  readonly path: string;
  readonly usedMs: number;
}

function remembered(records: string): Remembered[] {
  return namesIn(records).flatMap(name => {
    const path = join(records, name);
    const status = statSync(path, {throwIfNoEntry: false});
    return status === undefined ? [] : [{path, usedMs: status.mtimeMs}];
  });
}

/** So that they do not pile up; their layers go with the next collection of garbage. */
export function forgetOldest(records: string): void {
  const all = remembered(records).sort((a, b) => b.usedMs - a.usedMs);
  for (const [index, {path, usedMs}] of all.entries())
    if (index >= RECORDS_MOST || Date.now() - usedMs > KEPT_MS) rmSync(path, {force: true});
}

/**
 * Lets go of what builds remember. What only they had goes with the next collection of garbage.
 * @param unusedMs only what nobody used for so long @default everything
 * @returns how many steps were forgotten
 */
export function forgetBuilds(records: string, unusedMs = 0): number {
  const old = remembered(records).filter(({usedMs}) => Date.now() - usedMs >= unusedMs);
  for (const {path} of old) rmSync(path, {force: true});
  return old.length;
}

/** Layers that builds remember, each once. */
export function rememberedLayers(records: string): BuiltLayer[] {
  const layers = remembered(records).flatMap(({path}) => readAt(path)?.layer ?? []);
  return [...new Map(layers.map(layer => [layer.diffId, layer])).values()];
}

/** Layers or blobs that builds remember, by the hexadecimal digits of their digests. */
export function rememberedDigests(records: string, kind: 'layers' | 'blobs'): string[] {
  return rememberedLayers(records).map(({diffId, blob}) => hexOf(kind === 'layers' ? diffId : blob));
}

/** What a power cut left half is as good as nothing. */
function readAt(path: string): BuildRecord | undefined {
  try {
    const record = optional(readRecord(path), object, 'the record');
    if (record?.['version'] !== 1 || typeof record['created'] !== 'string') return undefined;
    if (record['layer'] === null) return {version: 1, created: record['created'], layer: null};
    const {diffId, blob, size} = object(record['layer'], 'layer');
    if (!isDigest(diffId) || !isDigest(blob) || typeof size !== 'number') return undefined;
    return {version: 1, created: record['created'], layer: {diffId, blob, size}};
  } catch (error) {
    if (error instanceof CoracleError) return undefined;
    throw error;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // nothing was ever built
    throw error;
  }
}
