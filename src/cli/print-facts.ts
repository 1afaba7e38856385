import type {FactsKind} from '../inspect/index.js';
import {ClientError, UsageError} from './cli-error.js';
import type {Output} from './command.js';
import {goJson} from './go-json.js';

const EXIT_BAD_TEMPLATE = 64;

/**
 * Prints what `info` or `version` has to tell as `--format` says: `json`, or a template that runs on Docker's struct.
 * @param facts Docker's JSON document
 * @throws UsageError, ClientError with the docker client's words
 */
export async function printFacts(
  kind: Exclude<FactsKind, 'event'>,
  facts: unknown,
  format: string,
  stdout: Output,
): Promise<void> {
  const {compileFacts, guessDelims, TemplateError} = await import('../inspect/index.js');
  try {
    stdout.write(compileFacts(kind, format, {delims: guessDelims(format)})(goJson(facts)));
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    if (error.kind === 'parse') throw new UsageError(error.message, EXIT_BAD_TEMPLATE);
    // Docker writes as it goes, and ends the line in any case.
    stdout.write(`${error.output}\n`);
    throw new ClientError(error.message, undefined, error);
  }
}
