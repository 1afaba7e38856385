import {UsageError} from './cli-error.js';
import type {Call} from './command.js';

/** The value of a flag that there is no default for. @throws UsageError in cobra's words */
export function requiredFlag(call: Call, name: string): string {
  const value = call.value(name);
  if (value) return value;
  throw new UsageError(`required flag(s) "${name}" not set`, 1);
}
