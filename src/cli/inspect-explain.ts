import {explainTemplate, guessDelims, type ObjectKind} from '../inspect/index.js';
import {type Arguments, KINDS} from './inspect-arguments.js';
import type {InspectIo} from './inspect-io.js';
import {objects} from './inspect-objects.js';

/** The parsed tree, and what would have been the right name of a field that does not exist. */
export async function explain(args: Arguments, io: InspectIo): Promise<number> {
  const {format, compat, delims = guessDelims(format)} = args;
  const kinds = new Set<ObjectKind | undefined>();
  for await (const found of objects(args, io)) {
    if (found instanceof Error) {
      io.stderr(`${found.message}\n`);
      return 1;
    }
    kinds.add(found.kind);
  }
  if (kinds.size === 0) for (const kind of args.type === undefined ? KINDS : [args.type]) kinds.add(kind);
  const explanations = [...kinds].map(kind => ({kind, ...explainTemplate(format, kind, {delims, compat})}));
  // Without an object, the kind that knows most of the fields is the one that is meant.
  const fewest = Math.min(...explanations.map(({unknown}) => unknown.length));
  const meant = args.names.length > 0 || args.input !== undefined;
  const shown = meant ? explanations : [explanations.find(({unknown}) => unknown.length === fewest)!];
  io.stdout(shown[0]!.tree);
  const complaints = shown.flatMap(({kind, unknown}) =>
    unknown.map(({path, nearest}) => {
      const meantPerhaps = nearest.length === 0 ? '' : `; nearest: ${nearest.join(', ')}`;
      return `${/^[aeiou]/.test(kind ?? '') ? 'an' : 'a'} ${kind} has no field ${path}${meantPerhaps}\n`;
    }),
  );
  io.stderr(complaints.join(''));
  return complaints.length === 0 ? 0 : 1;
}
