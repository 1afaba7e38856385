import {join} from 'node:path';
import {Runtime} from '../sdk/index.js';
import type {BackupsSdk} from './backups-sdk.js';

/** Who backs nothing up does not load what that takes: it is a fifth of the program. */
const sidecar = () => import('../sidecar/index.js');

export function backupsSdk(runtime: Runtime): BackupsSdk {
  const here = {runtime};
  const open = async ({repository, ...options}: Parameters<BackupsSdk['snapshots']>[0]) =>
    typeof repository === 'string' ? (await sidecar()).openRepository(repository, options, here) : repository;
  return {
    backupVolume: async (name, file, options) => (await sidecar()).backupVolume(name, file, options, here),
    backupVolumes: async (set, file, options) => (await sidecar()).backupVolumes(set, file, options, here),
    restoreVolume: async (name, file, options) => (await sidecar()).restoreVolume(name, file, options, here),
    backup: async (set, options) => (await sidecar()).backup(set, options, here),
    restore: async (volume, options) => (await sidecar()).restore(volume, options, here),
    restoreDump: async (name, of, options) => (await sidecar()).feedDump(name, of, options, here),
    readDump: async function* (name, options) {
      yield* (await sidecar()).readDump(name, options, here);
    },
    snapshots: async from => {
      await using repository = await open(from);
      return {
        snapshots: await repository.snapshots(),
        unreadable: (await repository.unreadable?.()) ?? [],
        results: await repository.results(),
      };
    },
    verifyRepository: async (from, options) => {
      await using repository = await open(from);
      return await (await sidecar()).verify(repository, options);
    },
    drill: async options => (await sidecar()).drill(options, here),
    forget: async (from, options) => {
      await using repository = await open(from);
      return await (await sidecar()).forget(repository, options);
    },
    copySnapshots: async (from, to, options) => (await sidecar()).copySnapshots(from, to, options, here),
    repositoryKeys: async ({repository, key}) =>
      (await sidecar()).listRepositoryKeys(repository, {key, runtime}),
    addRepositoryKey: async ({repository, key}, newKey, note) =>
      (await sidecar()).addRepositoryKey(repository, newKey, {key, note, runtime}),
    removeRepositoryKey: async ({repository, key}, id) =>
      (await sidecar()).removeRepositoryKey(repository, id, {key, runtime}),
    runSchedule: async ({state = stateOf(runtime), ...options}) =>
      (await sidecar()).runSchedule({...options, state}, here),
    runScheduled: async (job, {state = stateOf(runtime), ...options}) =>
      (await sidecar()).runScheduled(job, {...options, state}, here),
    plannedRuns: async config => (await sidecar()).plannedRuns(config, here),
    copyVolume: async (from, to, {root, ...options}) => {
      const {copyVolume} = await sidecar();
      if (root === undefined) return await copyVolume(from, to, options, here);
      const target = await Runtime.open({root, waiting: 0});
      try {
        return await copyVolume(from, to, {...options, target}, here);
      } finally {
        await target.close();
      }
    },
  };
}

function stateOf({store}: Runtime): string {
  return join(store.root, 'schedule');
}
