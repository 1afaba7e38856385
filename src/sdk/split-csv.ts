import {CoracleError} from '../errors.js';

/** One line of RFC 4180: a field with commas stands in double quotes, a double quote in it is doubled. @throws `ERR_INVALID_OPTION` */
export function splitCsv(line: string): string[] {
  const fields: string[] = [];
  const pattern = /(?:"((?:[^"]|"")*)"|([^,"]*))(,|$)/gy;
  for (;;) {
    const match = pattern.exec(line);
    if (match === null)
      throw new CoracleError('ERR_INVALID_OPTION', 'parse error: bare " in non-quoted field');
    fields.push(match[1] === undefined ? match[2]! : match[1].replaceAll('""', '"'));
    if (match[3] === '') return fields;
  }
}
