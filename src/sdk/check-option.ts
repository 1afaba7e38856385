import {CoracleError} from '../errors.js';
import {nearestName} from './nearest-name.js';

/**
 * The checks that options are made of. Each throws `ERR_INVALID_OPTION` with the option's path in `details.option`, and
 * a message that says what would have been right.
 */
export function invalidOption(option: string, message: string, hint?: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message, {details: {option}, ...(hint && {hint})});
}

/** A plain object all of whose keys are known. */
export function checkRecord(option: string, value: unknown, keys: readonly string[]): void {
  checkObject(option, value);
  for (const key of Object.keys(value as object)) {
    if (keys.includes(key)) continue;
    const meant = nearestName(key, keys);
    const path = option === '' ? key : `${option}.${key}`;
    throw invalidOption(
      path,
      meant === undefined
        ? `unknown option ${path}; known: ${keys.join(', ')}`
        : `unknown option ${path}: did you mean ${meant}?`,
    );
  }
}

export function checkObject(
  option: string,
  value: unknown,
): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw invalidOption(option, `${option || 'options'} must be an object, not ${describe(value)}`);
}

export function checkString(option: string, value: unknown): asserts value is string {
  if (typeof value !== 'string')
    throw invalidOption(option, `${option} must be a string, not ${describe(value)}`);
  // The kernel ends every string at its first NUL: what follows would be lost without a word.
  if (value.includes('\0')) throw invalidOption(option, `${option} must not contain a NUL character`);
}

export function checkStrings(option: string, value: unknown): asserts value is readonly string[] {
  if (!Array.isArray(value)) {
    throw invalidOption(option, `${option} must be an array of strings, not ${describe(value)}`);
  }
  value.forEach((item, index) => {
    checkString(`${option}[${index}]`, item);
  });
}

export function checkStringRecord(
  option: string,
  value: unknown,
): asserts value is Readonly<Record<string, string>> {
  checkObject(option, value);
  for (const [key, text] of Object.entries(value)) {
    checkString(`the key ${JSON.stringify(key)} of ${option}`, key);
    checkString(`${option}.${key}`, text);
  }
}

export function checkBoolean(option: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') {
    throw invalidOption(option, `${option} must be true or false, not ${describe(value)}`);
  }
}

export function checkOneOf<Word extends string>(
  option: string,
  value: unknown,
  words: readonly Word[],
): asserts value is Word {
  if (typeof value === 'string' && (words as readonly string[]).includes(value)) return;
  const list = words.map(word => `'${word}'`).join(', ');
  throw invalidOption(option, `${option} must be one of ${list}, not ${describe(value)}`);
}

/** A whole number, both ends included. */
export function checkInteger(
  option: string,
  value: unknown,
  least: number,
  most: number,
): asserts value is number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return;
  throw invalidOption(
    option,
    `${option} must be a whole number from ${least} to ${most}, not ${describe(value)}`,
  );
}

export function checkAbsolutePath(option: string, value: unknown): asserts value is string {
  checkString(option, value);
  if (!value.startsWith('/')) {
    throw invalidOption(option, `${option} must be an absolute path, not ${describe(value)}`);
  }
}

export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null || typeof value !== 'object') return String(value);
  return Array.isArray(value) ? 'an array' : `an object of type ${value.constructor?.name ?? 'Object'}`;
}
