/**
 * Where the host's dynamic linker finds libraries by name: `/etc/ld.so.cache`, in glibc's format since 2.2.
 * @see glibc, sysdeps/generic/dl-cache.h: struct cache_file_new
 */

/** Paths by library name, for one ELF machine; empty for what is no cache. */
export function parseLdSoCache(cache: Buffer, machine: number): Map<string, string> {
  const libraries = new Map<string, string>();
  const start = cache.indexOf(MAGIC); // an older table may come first
  const wanted = FLAGS[machine];
  if (start === -1 || wanted === undefined || start + HEADER_BYTES > cache.length) return libraries;
  const count = cache.readUInt32LE(start + 20);
  for (let index = 0; index < count; index++) {
    const at = start + HEADER_BYTES + index * ENTRY_BYTES;
    if (at + ENTRY_BYTES > cache.length) break;
    const needsMoreCpu = cache.readBigUInt64LE(at + 16) !== 0n; // a variant for newer processors
    if (needsMoreCpu || cache.readUInt32LE(at) !== wanted) continue;
    const name = text(cache, start + cache.readUInt32LE(at + 4));
    const path = text(cache, start + cache.readUInt32LE(at + 8));
    if (!libraries.has(name) && path.startsWith('/')) libraries.set(name, path);
  }
  return libraries;
}

const MAGIC = 'glibc-ld.so.cache1.1';
const HEADER_BYTES = 48;
const ENTRY_BYTES = 24;
/** FLAG_ELF_LIBC6 with FLAG_X8664_LIB64, FLAG_AARCH64_LIB64. */
const FLAGS: Readonly<Record<number, number>> = {62: 0x0303, 183: 0x0a03};

function text(cache: Buffer, offset: number): string {
  const end = cache.indexOf(0, offset);
  return end === -1 ? '' : cache.toString('utf8', offset, end);
}
