/** Whether an image that is here is the one that was meant, or another has to come. */
import {CoracleError} from '../errors.js';
import {type Platform, parsePlatform, platformMatches} from '../oci/index.js';

/** @param wanted undefined: any */
export function isFor(image: Platform, wanted: string | undefined): boolean {
  return wanted === undefined || platformMatches(image, parsePlatform(wanted));
}

/** An id is of this store alone: no registry is asked for one. */
export function isPullable(reference: string): boolean {
  return !/^(sha256:)?[a-f0-9]{64}$/.test(reference);
}

export function otherPlatform(reference: string, {os, architecture}: Platform, wanted: string): CoracleError {
  return new CoracleError(
    'ERR_PLATFORM_MISSING',
    `image with reference ${reference} was found but does not match the specified platform: wanted ${wanted}, actual: ${os}/${architecture}`,
    {details: {wanted, offered: [`${os}/${architecture}`]}},
  );
}
