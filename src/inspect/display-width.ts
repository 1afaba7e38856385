import {type ByteString, fromBytes} from './byte-string.js';

/** Terminal columns of a text: East Asian wide characters and emoji take two, marks none. */
export function displayWidth(bytes: ByteString): number {
  if (/^[\x20-\x7e]*$/.test(bytes)) return bytes.length;
  segmenter ??= new Intl.Segmenter();
  let width = 0;
  for (const {segment} of segmenter.segment(fromBytes(bytes))) {
    // A cluster is as wide as its first character that has a width.
    for (const character of segment) {
      const columns = characterWidth(character);
      width += columns;
      if (columns > 0) break;
    }
  }
  return width;
}

let segmenter: Intl.Segmenter | undefined;

const invisible = /^[\p{Cc}\p{Cf}\p{Mn}\p{Me}\p{Zl}\p{Zp}]$/u;
/** Unicode's East_Asian_Width W and F (https://unicode.org/reports/tr11/). */
const wide =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]$/u;

function characterWidth(character: string): number {
  if (invisible.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
