/** Which images may be used, by where they are from: `image-policy` of the configuration file. Pure. */
import type {Reference} from '../oci/index.js';

export type ImageRule =
  | 'accept'
  | 'reject'
  | {
      /** Paths of public keys: a signature by one of them is enough. */
      readonly signedBy: readonly string[];
      /** The repository that it was signed as, where that is another. @default its own */
      readonly signedAs?: string;
    };

export interface ImagePolicy {
  /** Of everything that no entry is about. @default 'accept' */
  readonly default: ImageRule;
  /** By registry, or by the beginning of a repository's whole name: `registry.example/team`. The longest that fits counts. */
  readonly rules: ReadonlyMap<string, ImageRule>;
}

export function ruleFor({domain, path}: Pick<Reference, 'domain' | 'path'>, policy: ImagePolicy): ImageRule {
  const components = `${domain}/${path}`.split('/');
  for (let length = components.length; length > 0; length--) {
    const rule = policy.rules.get(components.slice(0, length).join('/'));
    if (rule !== undefined) return rule;
  }
  return policy.default;
}
