/** What a layer may cost before it is called a bomb. Far above real images; each is one number to raise. */
import {CoracleError} from '../errors.js';

export interface LayerLimits {
  readonly entries: number;
  /** Components of a path. */
  readonly depth: number;
  /** Bytes of one file. */
  readonly fileBytes: number;
  /** Bytes of the whole unpacked layer. */
  readonly totalBytes: number;
  /** Unpacked bytes per compressed byte, once `ratioFreeBytes` are unpacked. gzip cannot exceed 1032. */
  readonly ratio: number;
  readonly ratioFreeBytes: number;
}

const GiB = 1024 ** 3;

export const LAYER_LIMITS: LayerLimits = {
  entries: 1_000_000,
  depth: 255,
  fileBytes: 64 * GiB,
  totalBytes: 128 * GiB,
  ratio: 200,
  ratioFreeBytes: GiB,
};

/** It is the caller's own data: a disk that is full says so itself, and zeros compress well. */
export const OWN_DATA_LIMITS: LayerLimits = {
  ...LAYER_LIMITS,
  entries: Number.MAX_SAFE_INTEGER,
  fileBytes: Number.MAX_SAFE_INTEGER,
  totalBytes: Number.MAX_SAFE_INTEGER,
  ratio: Number.MAX_SAFE_INTEGER,
};

export function invalidLayer(message: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_INVALID_LAYER', message, {cause});
}

export function overLimit(what: string, limit: number): CoracleError {
  return new CoracleError('ERR_LAYER_TOO_LARGE', `the layer has more than ${limit} ${what}`, {
    details: {what, limit},
  });
}
