/** Images from Dockerfiles. */
export {buildImage} from './build-image.js';
export type {BuildContext, BuildOptions, BuildProgress, BuildSecret} from './build-options.js';
