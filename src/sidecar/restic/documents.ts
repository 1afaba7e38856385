/**
 * What Coracle knows of a backup that restic has no place for. It is only known when all has been read, and a snapshot of
 * restic's cannot be added to. So it becomes a snapshot of its own, of one small file, written last: the backup is there
 * once that is. `restic snapshots --json` is to tell of all backups at once, without reading file by file: the document is
 * therefore also kept where restic keeps the patterns that were excluded. None of them matches anything.
 */
import type {Snapshot, SnapshotResult} from '../repository.js';

/** As `restic snapshots --json` tells of it. */
export interface ResticSnapshot {
  readonly id: string;
  readonly time: string;
  readonly paths: readonly string[];
  readonly tags?: readonly string[];
  readonly excludes?: readonly string[];
  readonly parent?: string;
}

/** All snapshots of one backup have this tag. */
export function setTag(set: string): string {
  return `coracle:${set}`;
}

export const RESULT_TAG = 'coracle:result';

/** Where the files with documents are, in their snapshots. */
export const DOCUMENT_PATH = '/coracle.json';

export type BackupDocument = Omit<Snapshot, 'id' | 'parent'>;

const PREFIX = '/coracle.json/';

export function encodeDocument(document: BackupDocument | SnapshotResult): string {
  return PREFIX + Buffer.from(JSON.stringify({version: 1, ...document})).toString('base64url');
}

function decodeDocument({excludes = []}: ResticSnapshot): unknown {
  const text = excludes.find(each => each.startsWith(PREFIX));
  if (text === undefined) return undefined;
  try {
    const document = JSON.parse(Buffer.from(text.slice(PREFIX.length), 'base64url').toString());
    return document?.version === 1 ? document : undefined;
  } catch {
    return undefined;
  }
}

/** A backup, and the snapshots of restic's that it consists of. */
export interface Backup {
  readonly snapshot: Snapshot;
  /** Of the volumes together, by the part's name `undefined`; of each dump. */
  readonly data: readonly ResticSnapshot[];
  readonly document: ResticSnapshot;
}

/** Where a part is in its snapshot. */
export function pathOf({kind, name}: {readonly kind: 'volume' | 'dump'; readonly name: string}): string {
  return kind === 'volume' ? `/volumes/${name}` : `/dumps/${name}`;
}

/** The snapshot that has a part. */
export function dataOf(
  {data}: Backup,
  part: {readonly kind: 'volume' | 'dump'; readonly name: string},
): ResticSnapshot {
  return data.find(({paths}) => paths.includes(pathOf(part)))!;
}

/** Those that are whole, the oldest first: the document is there, and all that it speaks of. */
export function backupsOf(listed: readonly ResticSnapshot[]): Backup[] {
  const backups = [...bySet(listed).values()].flatMap((set): Backup[] => {
    const document = set.find(({paths}) => paths.includes(DOCUMENT_PATH));
    const content = document && (decodeDocument(document) as BackupDocument | undefined);
    if (document === undefined || content === undefined) return [];
    const data = set.filter(each => each !== document);
    const isThere = (path: string) => data.some(({paths}) => paths.includes(path));
    if (data.length === 0 || !content.parts.every(part => isThere(pathOf(part)))) return [];
    const {version: _, ...facts} = content as BackupDocument & {readonly version: number};
    const main = data.find(({paths}) => paths.some(path => path.startsWith('/volumes/'))) ?? data[0]!;
    const parent = main.parent === undefined ? {} : {parent: main.parent};
    return [{snapshot: {id: main.id, ...parent, ...facts}, data, document}];
  });
  return backups.sort((a, b) => Date.parse(a.snapshot.time) - Date.parse(b.snapshot.time));
}

function bySet(listed: readonly ResticSnapshot[]): Map<string, ResticSnapshot[]> {
  const sets = new Map<string, ResticSnapshot[]>();
  for (const each of listed) {
    const tag = each.tags?.find(text => /^coracle:[0-9a-f]{16}$/.test(text));
    if (tag !== undefined) sets.set(tag, [...(sets.get(tag) ?? []), each]);
  }
  return sets;
}

/** Results that were recorded, the oldest first, and the snapshots that have them. */
export function resultsOf(
  listed: readonly ResticSnapshot[],
): {readonly result: SnapshotResult; readonly document: ResticSnapshot}[] {
  return listed.flatMap(document => {
    if (!document.tags?.includes(RESULT_TAG)) return [];
    const content = decodeDocument(document) as (SnapshotResult & {version: number}) | undefined;
    if (content === undefined) return [];
    const {version: _, ...result} = content;
    return [{result, document}];
  });
}

/** What backups left that were cut off, and documents without their backup: those older than a day, since one may be under way. */
export function leftoversOf(listed: readonly ResticSnapshot[], now: number): ResticSnapshot[] {
  const backups = backupsOf(listed);
  const whole = new Set(backups.flatMap(({data, document}) => [document.id, ...data.map(({id}) => id)]));
  const known = new Set(backups.map(({snapshot}) => snapshot.id));
  const results = new Map(resultsOf(listed).map(({result, document}) => [document.id, result]));
  return listed.filter(({id, tags = [], time}) => {
    if (!tags.some(tag => tag.startsWith('coracle:')) || whole.has(id)) return false;
    const result = results.get(id);
    if (result !== undefined && known.has(result.snapshot)) return false;
    return now - Date.parse(time) > DAY_MS;
  });
}

const DAY_MS = 86_400_000;
