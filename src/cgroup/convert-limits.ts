/** Docker's units to the kernel's: pure arithmetic, each rule with its source. */

/** Period of the CFS bandwidth controller behind `cpus`, as dockerd sets it (daemon_unix.go, getCPUResources). */
export const CPU_PERIOD_US = 100_000;

/** Quota per period for a number of CPUs; counted in nano-CPUs first, as Docker does, so that 0.07 gives 7000. */
export function cpuQuotaUs(cpus: number): number {
  return Math.trunc((Math.round(cpus * 1e9) * CPU_PERIOD_US) / 1e9);
}

/** v1 `cpu.shares` (2 to 262144) to v2 `cpu.weight` (1 to 10000): runc 1.1, ConvertCPUSharesToCgroupV2Value. */
export function cpuWeight(shares: number): number {
  return 1 + Math.trunc(((shares - 2) * 9999) / 262142);
}

/** v1 `blkio.weight` (10 to 1000) to v2 `io.weight` (1 to 10000): runc 1.1, ConvertBlkIOToIOWeightValue. */
export function ioWeight(blkioWeight: number): number {
  return 1 + Math.trunc(((blkioWeight - 10) * 9999) / 990);
}

/** Docker's memory-plus-swap to v2 `memory.swap.max`, which counts swap alone; -1 = unlimited. */
export function swapMax(memoryBytes: number, memorySwapBytes: number): string {
  return memorySwapBytes === -1 ? 'max' : String(memorySwapBytes - memoryBytes);
}

/** What Docker gives a container that has a memory limit and says nothing of swap: as much swap as memory. */
export function memorySwapOrDefault(memoryBytes: number, memorySwapBytes: number): number {
  return memorySwapBytes === 0 ? 2 * memoryBytes : memorySwapBytes;
}
