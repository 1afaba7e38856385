import {Runtime} from '../sdk/index.js';
import {backup, copyVolume, drill, forget, openRepository, restore, verify} from '../sidecar/index.js';
import type {BackupsSdk} from './backups-sdk.js';

export function backupsSdk(runtime: Runtime): BackupsSdk {
  const here = {runtime};
  const open = async ({repository, ...options}: Parameters<BackupsSdk['snapshots']>[0]) =>
    typeof repository === 'string' ? openRepository(repository, options, here) : repository;
  return {
    backup: (set, options) => backup(set, options, here),
    restore: (volume, options) => restore(volume, options, here),
    snapshots: async from => {
      await using repository = await open(from);
      return {snapshots: await repository.snapshots(), results: await repository.results()};
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
