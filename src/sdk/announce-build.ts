import {familiarString, parseReference, withDefaultTag} from '../oci/index.js';
import type {StoredImage} from '../store/index.js';
import {imageEvent} from './record-events.js';
import type {Runtime} from './runtime.js';

/** Whoever watches hears which names a new image was given. */
export function announceBuild(runtime: Runtime, image: StoredImage, tags: readonly string[]): void {
  runtime.tell(
    tags.map(tag => imageEvent(image, 'tag', familiarString(withDefaultTag(parseReference(tag))))),
  );
}
