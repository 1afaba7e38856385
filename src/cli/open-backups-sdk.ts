import {join} from 'node:path';
import {Runtime} from '../sdk/index.js';
import {
  addRepositoryKey,
  backup,
  copySnapshots,
  copyVolume,
  drill,
  feedDump,
  forget,
  listRepositoryKeys,
  openRepository,
  plannedRuns,
  readDump,
  removeRepositoryKey,
  restore,
  runSchedule,
  runScheduled,
  verify,
} from '../sidecar/index.js';
import type {BackupsSdk} from './backups-sdk.js';

export function backupsSdk(runtime: Runtime): BackupsSdk {
  const here = {runtime};
  const open = async ({repository, ...options}: Parameters<BackupsSdk['snapshots']>[0]) =>
    typeof repository === 'string' ? openRepository(repository, options, here) : repository;
  return {
    backup: (set, options) => backup(set, options, here),
    restore: (volume, options) => restore(volume, options, here),
    restoreDump: (name, sidecar, options) => feedDump(name, sidecar, options, here),
    readDump: (name, options) => readDump(name, options, here),
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
      return await verify(repository, options);
    },
    drill: options => drill(options, here),
    forget: async (from, options) => {
      await using repository = await open(from);
      return await forget(repository, options);
    },
    copySnapshots: (from, to, options) => copySnapshots(from, to, options, here),
    repositoryKeys: ({repository, key}) => listRepositoryKeys(repository, {key, runtime}),
    addRepositoryKey: ({repository, key}, newKey, note) =>
      addRepositoryKey(repository, newKey, {key, note, runtime}),
    removeRepositoryKey: ({repository, key}, id) => removeRepositoryKey(repository, id, {key, runtime}),
    runSchedule: ({state = stateOf(runtime), ...options}) => runSchedule({...options, state}, here),
    runScheduled: (job, {state = stateOf(runtime), ...options}) =>
      runScheduled(job, {...options, state}, here),
    plannedRuns: config => plannedRuns(config, here),
    copyVolume: async (from, to, {root, ...options}) => {
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
