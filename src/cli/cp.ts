import {posix, resolve} from 'node:path';
import {archiveHostPath, extractOnHost, hostPathStatus, type PathStatus} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import type {Sdk} from './sdk.js';
import {writeBytes} from './write-bytes.js';

export const command: Command = {
  name: 'cp',
  usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tcoracle cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH',
  summary: 'Copy files/folders between a container and the local filesystem',
  aliases: ['container cp'],
  flags: [
    {name: 'archive', short: 'a', summary: "Archive mode: what is copied in becomes the container user's"},
    {name: 'follow-link', short: 'L', summary: 'Always follow symbol link in SRC_PATH'},
    {name: 'quiet', short: 'q', summary: '', hidden: true},
  ],
  least: 2,
  most: 2,
  examples: [
    'coracle cp job:/var/log/app.log .',
    'coracle cp ./settings/. job:/etc/app',
    'coracle cp job:/data - | gzip >data.tar.gz',
    'tar -cf - data | coracle cp - job:/',
  ],
  run,
};

interface Side {
  /** Undefined: a path of the host's. */
  readonly container: string | undefined;
  readonly path: string;
}

async function run(call: Call, context: Context): Promise<number> {
  const [source, destination] = call.words.map(sideOf) as [Side, Side];
  if (call.words[0] === '') throw new ClientError('source can not be empty');
  if (call.words[1] === '') throw new ClientError('destination can not be empty');
  if (source.container !== undefined && destination.container !== undefined)
    throw new ClientError('copying between containers is not supported');
  if (source.container !== undefined)
    await copyOut(source.container, source.path, destination.path, call, context);
  else if (destination.container !== undefined)
    await copyIn(source.path, destination.container, destination.path, call, context);
  else throw new ClientError('must specify at least one container source');
  return 0;
}

/** `NAME:PATH`; a path that is absolute or begins with a dot is the host's, whatever follows. */
function sideOf(word: string): Side {
  const colon = word.indexOf(':');
  if (colon === -1 || /^[./]/.test(word)) return {container: undefined, path: word};
  return {container: word.slice(0, colon), path: word.slice(colon + 1)};
}

async function copyOut(
  container: string,
  source: string,
  destination: string,
  call: Call,
  {sdk, stdout, directory}: Context,
): Promise<void> {
  const opened = await sdk();
  const path = call.has('follow-link') ? await followed(opened, container, source) : source;
  if (destination === '-') {
    await opened.statPath(container, path);
    for await (const bytes of opened.getArchive(container, path)) await writeBytes(stdout, bytes);
    return;
  }
  const status = await opened.statPath(container, path);
  const isDirectory = status.type === 'directory';
  const target = hostTarget(destination, directory);
  const name = isContents(path) ? '.' : posix.basename(posix.join('/', path)) || '/';
  const from = {isDirectory, contents: isContents(path), name: wantedName(source)};
  const place = placeFor(from, target, parent => {
    if (hostPathStatus(parent)?.type === 'directory') return;
    throw new ClientError(`invalid output path: directory ${JSON.stringify(parent)} does not exist`);
  });
  const archive = opened.getArchive(container, path);
  await extractOnHost(place.directory, archive, renaming(name, place.name)).catch(error => {
    // Here it is Docker's client that writes.
    const isInTheWay = error.code === 'ERR_PATH_BUSY' || error.code === 'ERR_PATH_CONFLICT';
    throw isInTheWay ? new ClientError(error.message, error.hint, error) : error;
  });
}

/** `-L`: the file that a symlink leads to, under the link's name. */
async function followed(opened: Sdk, container: string, path: string): Promise<string> {
  let at = path;
  for (let links = 0; links < MOST_LINKS; links++) {
    const {type, target} = await opened.statPath(container, at);
    if (type !== 'symlink') return at;
    at = posix.resolve('/', posix.dirname(posix.join('/', at)), target);
  }
  throw new ClientError(`${path}: too many levels of symbolic links`);
}

const MOST_LINKS = 40; // path_resolution(7)

async function copyIn(
  source: string,
  container: string,
  destination: string,
  call: Call,
  {sdk, stdin, directory}: Context,
): Promise<void> {
  const opened = await sdk();
  const options = {asUser: call.has('archive')};
  const target = await containerTarget(opened, container, destination);
  if (source === '-') {
    if (target.type !== 'directory')
      throw new ClientError(
        `destination ${JSON.stringify(`${container}:${destination}`)} must be a directory`,
      );
    await opened.putArchive(container, target.path, stdin, options);
    return;
  }
  const whole = resolve(directory, source) + (isContents(source) ? '/.' : '');
  const status = hostSource(whole, call.has('follow-link') || source.endsWith('/'));
  const isDirectory = status.type === 'directory';
  const name = isContents(source) ? '.' : posix.basename(whole) || '/';
  const from = {isDirectory, contents: isContents(source), name};
  // A directory that is not there is told by the container.
  const place = placeFor(from, target, () => {});
  const archive = archiveHostPath(status.followed, place.name ?? name);
  await opened.putArchive(container, place.directory, archive, options);
}

type HostSource = PathStatus & {readonly followed: string};

function hostSource(path: string, follow: boolean): HostSource {
  const status = hostPathStatus(path.replace(/\/\.$/, '') || '/');
  if (status === undefined) throw new ClientError(`lstat ${path}: no such file or directory`);
  if (status.type !== 'symlink' || !follow) return {...status, followed: path};
  return hostSource(resolve(posix.dirname(path), status.target), follow);
}

/** Where something is to go. */
interface Target {
  readonly path: string;
  readonly type: PathStatus['type'] | undefined;
  /** Written with a slash at its end: it has to be a directory. */
  readonly isMeantAsDirectory: boolean;
}

function hostTarget(destination: string, directory: string): Target {
  let path = resolve(directory, destination);
  let status = hostPathStatus(path);
  for (let links = 0; status?.type === 'symlink' && links < MOST_LINKS; links++) {
    path = resolve(posix.dirname(path), status.target);
    status = hostPathStatus(path);
  }
  return {path, type: status?.type, isMeantAsDirectory: /\/\.?$/.test(destination) || destination === '.'};
}

/** A symlink at the end is followed: the file it leads to is what is overwritten. */
async function containerTarget(opened: Sdk, container: string, destination: string): Promise<Target> {
  const isMeantAsDirectory = /\/\.?$/.test(destination);
  let path = posix.join('/', destination);
  for (let links = 0; links < MOST_LINKS; links++) {
    const status = await opened.statPath(container, path.replace(/(.)\/$/, '$1')).catch(error => {
      if (error.code === 'ERR_PATH_NOT_FOUND') return undefined;
      throw error;
    });
    if (status?.type !== 'symlink') return {path, type: status?.type, isMeantAsDirectory};
    path = posix.resolve('/', posix.dirname(path), status.target);
  }
  throw new ClientError(`${destination}: too many levels of symbolic links`);
}

interface Source {
  readonly isDirectory: boolean;
  /** "dir/.": what is in it, not itself. */
  readonly contents: boolean;
  readonly name: string;
}

/**
 * Docker's table of what goes where (docker cp, "Description").
 * @returns the directory to put the archive into, and what the source is called there; undefined: as it is
 */
function placeFor(
  {isDirectory, contents, name}: Source,
  {path, type, isMeantAsDirectory}: Target,
  checkParent: (directory: string) => void,
): {readonly directory: string; readonly name: string | undefined} {
  if (type === 'directory') {
    return contents ? {directory: path, name: undefined} : {directory: path, name};
  }
  if (type !== undefined && isDirectory) throw new ClientError('cannot copy directory');
  if (isMeantAsDirectory && !(type === undefined && isDirectory)) throw new ClientError('no such directory');
  const [directory, wanted] = [posix.dirname(path), posix.basename(path)];
  checkParent(directory);
  return {directory, name: wanted};
}

function isContents(path: string): boolean {
  return /(^|\/)\.$/.test(path);
}

function wantedName(path: string): string {
  return posix.basename(posix.join('/', path)) || '/';
}

function renaming(from: string, to: string | undefined) {
  return to === undefined || from === to ? undefined : {from, to};
}
