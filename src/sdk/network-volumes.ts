/**
 * Servers of volumes on the network: the kernel takes addresses only, so that names are looked up before each mount, as
 * dockerd does and mount.nfs(8) would.
 */
import {lookup} from 'node:dns/promises';
import {isIP} from 'node:net';
import {CoracleError} from '../errors.js';
import type {VolumeFileSystem} from '../store/index.js';

/** The option of NFS and CIFS that names the server. */
const SERVER = /(^|,)addr=([^,]+)/;

/** Undefined where there is nothing to look up. */
export function serverOf({type, data}: VolumeFileSystem): string | undefined {
  if (!/^(nfs4?|cifs|smb3)$/.test(type)) return undefined;
  const [, , server] = SERVER.exec(data) ?? [];
  return server === undefined || isIP(server) !== 0 ? undefined : server;
}

export function withServer(fileSystem: VolumeFileSystem, address: string): VolumeFileSystem {
  return {...fileSystem, data: fileSystem.data.replace(SERVER, `$1addr=${address}`)};
}

/** @throws `ERR_VOLUME_MOUNT` in dockerd's words */
export async function lookUpServer(volume: string, server: string): Promise<string> {
  try {
    return (await lookup(server, {order: 'ipv4first'} as {verbatim?: boolean})).address;
  } catch (cause) {
    throw new CoracleError(
      'ERR_VOLUME_MOUNT',
      `error while mounting volume '${volume}': error resolving passed in network volume address: lookup ${server}: no such host`,
      {cause, details: {volume, server}},
    );
  }
}
