/** `--cache-from`: images whose history may have, step for step, what a build is about to do. */
import type {BuildWork, BuiltLayer, StoredImage} from '../store/index.js';
import type {ImageState} from './image-state.js';

interface Source {
  readonly history: readonly {
    readonly createdBy: string;
    readonly created: string;
    readonly layer: BuiltLayer | null;
  }[];
}

export class CacheSources {
  readonly #sources: readonly Source[];

  private constructor(sources: readonly Source[]) {
    this.#sources = sources;
  }

  static async open(work: BuildWork, images: readonly StoredImage[]): Promise<CacheSources> {
    const sources: Source[] = [];
    for (const image of images) {
      const {layers, history} = await work.base(image);
      let next = 0;
      sources.push({
        history: history.map(({created_by = '', created = '', empty_layer = false}) => ({
          createdBy: created_by,
          created,
          layer: empty_layer ? null : (layers[next++] ?? null),
        })),
      });
    }
    return new CacheSources(sources);
  }

  /** What an image has in the place of the next step, if it came the same way up to there. */
  find(
    {history, layers}: Pick<ImageState, 'history' | 'layers'>,
    createdBy: string,
  ): {readonly created: string; readonly layer: BuiltLayer | null} | undefined {
    for (const source of this.#sources) {
      const next = source.history[history.length];
      if (next === undefined || next.createdBy !== createdBy || next.created === '') continue;
      const before = source.history.slice(0, history.length);
      const isSame =
        before.every(({createdBy: by}, index) => by === (history[index]?.created_by ?? '')) &&
        sameLayers(
          before.flatMap(({layer}) => layer ?? []),
          layers,
        );
      if (isSame) return next;
    }
    return undefined;
  }
}

function sameLayers(some: readonly BuiltLayer[], others: readonly BuiltLayer[]): boolean {
  return some.length === others.length && some.every(({diffId}, index) => diffId === others[index]!.diffId);
}
