import {CoracleError} from '../../errors.js';

export function wrongContent(path: Buffer, wanted: number): CoracleError {
  return new CoracleError(
    'ERR_REPOSITORY_DAMAGED',
    `${path.toString()} has other content in the repository than its ${wanted} bytes`,
    {hint: 'coracle verify says what else is damaged, and which snapshots are whole.'},
  );
}
