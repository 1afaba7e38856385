/** A program on layers that no image has yet, whose writable layer is kept: a step of a build. */
import {rename} from 'node:fs/promises';
import {basename, dirname} from 'node:path';
import {openDirectory, removeTree} from '../binding/index.js';
import type {StoredImage} from '../store/index.js';
import {processRequest, startTransient, subjectOf} from './begin-run.js';
import {RunningContainer} from './container.js';
import {normalizeRunOptions} from './normalize-run-options.js';
import {startEvents} from './record-events.js';
import type {RunOptions} from './run-options.js';
import {Runtime} from './runtime.js';
import {startProcess} from './start-process.js';

export interface RunningStep {
  readonly container: RunningContainer;
  /**
   * Once it has `settled`: what it wrote, the upper directory of an overlay, is moved to `path`, which is not there yet. Without
   * it, or when this process dies, it is removed.
   */
  keep(path: string): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Starts it as a container that lives as long as its run.
 * @param image of layers that are there; it need not be one of the store
 * @throws as `Container.run`
 */
export async function runStep(
  runtime: Runtime,
  image: StoredImage,
  options: RunOptions,
): Promise<RunningStep> {
  const normalized = normalizeRunOptions(
    {...options, autoRemove: true},
    'docker',
    'run',
    Runtime.configurationOf(runtime),
  );
  const described = await runtime.describeContainer(image.id, normalized, image);
  const subject = {...subjectOf(described), keepsWritable: true};
  const {signal, stdin} = normalized;
  let writable = '';
  const discard = async () => {
    using parent = openDirectory(dirname(writable));
    await removeTree(parent.fd, basename(writable));
  };
  const start = startTransient(runtime, subject, normalized.name, 'never', async planned => {
    writable = runtime.livePlacesOf(planned.record).writable;
    using shared = runtime.openShared(planned.record);
    const process = await startProcess(runtime.launcher(), {
      ...processRequest(planned, planned.record, stdin),
      descriptors: shared.descriptors,
      trace: false,
      signal,
    });
    const announces = runtime.announces(planned.record, normalized.door);
    if (announces) runtime.tell(startEvents(planned.record, {created: true}));
    const facts = {transient: true, warnings: planned.warnings, steps: [], signal, announces};
    return new RunningContainer(runtime, planned.record, process, facts);
  });
  const container = await runtime.whileStarting(start).catch(async error => {
    if (writable !== '') await discard();
    throw error;
  });
  return {
    container,
    keep: async path => {
      {
        await using delta = await runtime.store.upperOf(image, writable);
        await rename(delta.path, path);
      }
      await discard();
    },
    discard,
  };
}
