import type {Architecture} from './abis.js';

/**
 * What the build compiled ahead (`scripts/build-filters.mjs`): Docker's profile for Docker's capabilities, on any kernel
 * that Coracle runs on. The first compilation in a process takes as long as starting the container.
 */
interface BuiltFilters {
  readonly capabilities: readonly string[];
  /** The programs, base64. */
  readonly programs: Readonly<Record<Architecture, string>>;
}

/** `BuiltFilters` as JSON, put in by the bundler; the sources as they are have none. */
declare const CORACLE_BUILT_FILTERS: string | undefined;

let built: BuiltFilters | undefined;
let program: Uint8Array | undefined;

/** The filter of the default profile for these capabilities, if the build has made it. Shared: do not write to it. */
export function builtFilter(
  architecture: Architecture,
  capabilities: ReadonlySet<string>,
): Uint8Array | undefined {
  if (typeof CORACLE_BUILT_FILTERS === 'undefined') return undefined;
  built ??= JSON.parse(CORACLE_BUILT_FILTERS) as BuiltFilters;
  if (capabilities.size !== built.capabilities.length) return undefined;
  if (built.capabilities.some(name => !capabilities.has(name))) return undefined;
  program ??= Buffer.from(built.programs[architecture], 'base64');
  return program;
}
