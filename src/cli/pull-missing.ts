/** `--pull` of `run` and `create`: what is said on stderr, so that stdout has the container's id or its output alone. */
import {CoracleError} from '../errors.js';
import type {RunOptions} from '../sdk/index.js';
import type {Call, Context} from './command.js';
import {layerLines, SILENT} from './layer-lines.js';
import {pullLines} from './pull-lines.js';
import {withDefaultTag} from './with-default-tag.js';

/** Makes or starts a container; when its image is missing, once more with it. @param start is given what says not to pull */
export async function withImage<T>(
  call: Call,
  context: Context,
  signal: AbortSignal | undefined,
  start: (pull: Pick<RunOptions, 'pull'>) => Promise<T>,
): Promise<T> {
  const [image = ''] = call.words;
  const policy = call.value('pull') ?? 'missing';
  const pull = async () => {
    const platform = call.value('platform');
    const lines = pullLines(call.has('quiet') ? SILENT : layerLines(context.stderr, context.now));
    await (await context.sdk()).pullImage(image, {
      ...(platform && {platform}),
      onProgress: lines.onProgress,
      ...(signal && {signal}),
    });
  };
  if (policy === 'always') await pull();
  try {
    return await start({pull: 'never'});
  } catch (error) {
    if (policy !== 'missing' || !isMissing(error, image)) throw error;
    if (!call.has('quiet')) context.stderr.write(`Unable to find image '${withDefaultTag(image)}' locally\n`);
    await pull();
    return await start({pull: 'never'});
  }
}

/** No id: those are of no registry. */
function isMissing(error: unknown, image: string): boolean {
  if (!(error instanceof CoracleError)) return false;
  const isWanted = error.code === 'ERR_IMAGE_NOT_FOUND' || error.code === 'ERR_PLATFORM_MISSING';
  return isWanted && !/^(sha256:)?[a-f0-9]{64}$/.test(image);
}
