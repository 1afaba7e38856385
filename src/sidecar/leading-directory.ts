/** Archives that others made say `data/file` where ours say `./file`: which directory of theirs is the volume's root. */
import {CoracleError} from '../errors.js';

/** Everything is Latin-1 inside: names of files are bytes. */
export class LeadingDirectory {
  readonly #wanted: string | undefined;
  #first: readonly string[] | undefined;
  #entries = 0;
  /** How the first entry below it is written, up to its end. */
  #spelling = '';

  /** @param wanted undefined: the one that comes first and has all others in it, or else the archive's root */
  constructor(wanted: string | undefined) {
    this.#wanted = wanted;
    if (wanted === undefined) return;
    const latin = Buffer.from(wanted).toString('latin1');
    this.#first = latin.split('/').filter(component => component !== '' && component !== '.');
  }

  see({
    path,
    place,
    type,
  }: {
    readonly path: string;
    readonly place: readonly string[];
    readonly type: string;
  }): void {
    this.#first ??= type === 'directory' ? place : [];
    const first = this.#first;
    if (first.every((component, index) => place[index] === component)) {
      if (this.#entries++ === 0)
        this.#spelling = path.slice(0, path.indexOf(first.join('/')) + first.join('/').length);
    } else if (this.#wanted === undefined) {
      this.#first = []; // it has not all of them: the archive's root is the volume's
      this.#entries++;
    }
  }

  /** @param path of the archive, for words @throws `ERR_INVALID_ARCHIVE` when there is nothing */
  found(path: string): {
    readonly directory: string;
    readonly entries: number;
    /** Arguments of GNU tar, which then lists and unpacks names as the volume has them. */
    readonly members: readonly string[];
  } {
    const directory = Buffer.from((this.#first ?? []).join('/'), 'latin1').toString();
    if (this.#entries === 0) {
      const what =
        this.#wanted === undefined || directory === ''
          ? 'no entries'
          : `nothing below ${JSON.stringify(directory)}`;
      throw new CoracleError('ERR_INVALID_ARCHIVE', `${path} has ${what}`);
    }
    const escaped = directory.replaceAll(/[\\^$.*[\],]/g, '\\$&');
    // Of hard links the targets too, of symlinks not.
    const transform = `--transform=flags=rhS;s,^\\(\\./\\|/\\)*${escaped}/*,./,`;
    const chosen =
      this.#wanted === undefined || directory === ''
        ? []
        : ['--', Buffer.from(this.#spelling, 'latin1').toString()];
    return {directory, entries: this.#entries, members: [transform, '--show-transformed-names', ...chosen]};
  }
}
