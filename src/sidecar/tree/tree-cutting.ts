import type {Cutting} from '../layout/chunk-store.js';

/** Trees are small and change in a few places each time: their chunks are smaller than those of content. */
export function treeCutting(cutting: Cutting): Cutting {
  const {minBytes, averageBytes, maxBytes} = cutting;
  return {
    ...cutting,
    minBytes: minBytes / PART,
    averageBytes: averageBytes / PART,
    maxBytes: maxBytes / PART,
  };
}

const PART = 16;
