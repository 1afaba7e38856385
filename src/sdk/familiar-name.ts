import {familiarName, familiarString, parseReference, withDefaultTag} from '../oci/index.js';

export interface FamiliarName {
  /** Without tag and digest: `alpine`, `localhost:5000/tool`. */
  readonly name: string;
  /** Whether it was written with a tag or a digest. */
  readonly hasTag: boolean;
  /** With `latest` where it was written with neither. */
  readonly reference: string;
}

/** A name of an image as Docker prints it. Pure. @throws `ERR_INVALID_REFERENCE` */
export function familiarNameOf(text: string): FamiliarName {
  const parsed = parseReference(text);
  return {
    name: familiarName(parsed),
    hasTag: parsed.tag !== undefined || parsed.digest !== undefined,
    reference: familiarString(withDefaultTag(parsed)),
  };
}
