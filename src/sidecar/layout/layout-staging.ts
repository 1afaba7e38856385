import {renameSync, rmSync} from 'node:fs';
import {open, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {digestOf, hexOf, MEDIA_TYPES, Workspace} from '../../sdk/index.js';
import type {BlobDescriptor} from './artifact.js';
import type {LayoutEntry} from './layout-index.js';
import type {LayoutShelf} from './layout-shelf.js';
import {announceBlobs} from './leftovers.js';
import {writing} from './repository-errors.js';
import type {NewArtifact, StagedFile, Staging} from './shelf.js';

/** New blobs of a layout, beside the others until all of them are on the disk. */
export class LayoutStaging implements Staging {
  readonly path: string;
  readonly place: string;
  readonly #shelf: LayoutShelf;
  readonly #workspace: Workspace;
  readonly #files = new Map<string, StagedFile>();
  #synced: Promise<void> = Promise.resolve();
  #state: 'staging' | 'announced' | 'published' = 'staging';

  private constructor(shelf: LayoutShelf, workspace: Workspace) {
    this.#shelf = shelf;
    this.#workspace = workspace;
    this.path = workspace.path;
    this.place = shelf.url;
  }

  static open(shelf: LayoutShelf): LayoutStaging {
    return new LayoutStaging(shelf, Workspace.open(shelf.places.work));
  }

  async add(file: StagedFile): Promise<void> {
    this.#files.set(file.digest, file);
    // One file after the other, while the next is made: all at the end would be one long wait. Not syncfs(2), which waits for
    // whatever else is written to the same file system.
    this.#synced = this.#synced.then(() => sync(file.path));
    this.#synced.catch(() => {}); // told by `publish`
  }

  async put(mediaType: string, content: Buffer): Promise<BlobDescriptor> {
    const digest = digestOf(content);
    const path = join(this.path, hexOf(digest));
    await writing(this.#shelf.url, () => writeFile(path, content, {mode: 0o600}));
    const blob = {mediaType, digest, size: content.length};
    await this.add({...blob, path});
    return blob;
  }

  async publish(artifacts: readonly NewArtifact[]): Promise<void> {
    const {places, url} = this.#shelf;
    const entries: LayoutEntry[] = [];
    for (const {name, kind, manifest} of artifacts) {
      entries.push({name, kind, manifest: await this.put(MEDIA_TYPES.ociManifest, manifest)});
    }
    await writing(url, async () => {
      await this.#synced;
      const files = [...this.#files.values()];
      announceBlobs(
        this.path,
        files.map(({digest}) => hexOf(digest)),
      );
      this.#state = 'announced';
      // Over a blob of that name, which may be damaged: these bytes are known to be true.
      for (const {path, digest} of files) renameSync(path, places.blob(digest));
      await sync(places.blobs);
      await this.#shelf.changeIndex(({artifacts: before, foreign}) => ({
        foreign,
        artifacts: new Map([...before, ...entries.map(entry => [entry.name, entry] as const)]),
      }));
      this.#state = 'published';
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#synced.catch(() => {});
    if (this.#state !== 'announced') return await this.#workspace[Symbol.asyncDispose]();
    // Some blobs have their names and no artifact: they go now, or when somebody has the repository alone.
    for (const {path} of this.#files.values()) rmSync(path, {force: true});
    this.#workspace.directory.close();
    await this.#shelf.tidy();
  }
}

/** Of a file its content, of a directory its names. */
async function sync(path: string): Promise<void> {
  await using opened = await open(path, 'r');
  await opened.sync();
}
