const SHORT: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

/** strconv.Quote: a string as Go writes it in double quotes, with nothing in it that a terminal would obey. */
export function goQuote(text: string): string {
  const quoted = [...text].map(char => {
    if (SHORT[char] !== undefined) return SHORT[char];
    if (!/[\p{C}\p{Z}]/u.test(char) || char === ' ') return char;
    const code = char.codePointAt(0)!;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code < 0x10000
      ? `\\u${code.toString(16).padStart(4, '0')}`
      : `\\U${code.toString(16).padStart(8, '0')}`;
  });
  return `"${quoted.join('')}"`;
}
