/** What of a tree is to be restored: some paths, all that is below them, and the directories on the way to them. */
import {CoracleError} from '../../errors.js';
import {decodeRecord, encodeRecord, hasSeveralNames, recordPath, recordType} from './tree-record.js';

export type SelectedRecords = AsyncIterable<Buffer>;

/**
 * @param paths undefined: all
 * @throws `ERR_FILE_NOT_FOUND` at the end, when there is nothing at one of the paths
 */
export function selectRecords(
  records: AsyncIterable<Buffer>,
  paths: readonly string[] | undefined,
): SelectedRecords {
  return select(
    records,
    paths?.map(path => ({path, bytes: normalized(path), isFound: false})),
  );
}

interface WantedPath {
  readonly path: string;
  readonly bytes: Buffer;
  isFound: boolean;
}

async function* select(
  records: AsyncIterable<Buffer>,
  wanted: readonly WantedPath[] | undefined,
): AsyncGenerator<Buffer, void, void> {
  /** Files with several names that are not wanted under their first: another of them becomes it. */
  const elsewhere = new Map<string, Buffer>();
  const moved = new Map<string, Buffer>();
  for await (const record of records) {
    const path = recordPath(record);
    if (wanted !== undefined && !isWanted(wanted, path)) {
      if (hasSeveralNames(record)) elsewhere.set(path.toString('latin1'), record);
      continue;
    }
    if (wanted === undefined || recordType(record) !== 'link') {
      yield record;
      continue;
    }
    const decoded = decodeRecord(record);
    const target = Buffer.from(decoded.node.target as Buffer).toString('latin1');
    const first = elsewhere.get(target);
    if (first === undefined) {
      const name = moved.get(target);
      yield name === undefined ? record : encodeRecord({...decoded, node: {...decoded.node, target: name}});
      continue;
    }
    elsewhere.delete(target);
    moved.set(target, Buffer.from(path));
    const file = decodeRecord(first);
    yield encodeRecord({...file, node: {...file.node, path}});
  }
  const missing = wanted?.find(({isFound}) => !isFound);
  if (missing !== undefined) {
    throw new CoracleError('ERR_FILE_NOT_FOUND', `${missing.path}: the snapshot has no such path`, {
      hint: 'Paths are relative to the root of the volume.',
      details: {path: missing.path},
    });
  }
}

function isWanted(wanted: readonly WantedPath[], path: Buffer): boolean {
  let isOnTheWay = false;
  for (const each of wanted) {
    if (isBelow(path, each.bytes)) {
      each.isFound = true;
      return true;
    }
    isOnTheWay ||= isBelow(each.bytes, path);
  }
  return isOnTheWay;
}

function isBelow(path: Buffer, directory: Buffer): boolean {
  if (directory.length === 0) return true;
  if (path.length < directory.length || !path.subarray(0, directory.length).equals(directory)) return false;
  return path.length === directory.length || path[directory.length] === SLASH;
}

/** "/a//b/" is "a/b". @throws `ERR_INVALID_OPTION` */
function normalized(path: string): Buffer {
  const names = path.split('/').filter(name => name !== '' && name !== '.');
  if (names.includes('..')) {
    throw new CoracleError('ERR_INVALID_OPTION', `paths: ${path} leads out of the volume`);
  }
  return Buffer.from(names.join('/'));
}

const SLASH = 0x2f;
