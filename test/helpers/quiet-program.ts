/**
 * A program that holds the users of a volume again and again, to be killed. Arguments: the root, the run-time directory, the
 * volume, options as JSON, and `once` to hold them for good. Prints `holds` whenever they are held.
 */
import {Runtime} from '../../src/index.js';
import {withQuiet} from '../../src/sidecar/quiesce/index.js';

const [root, run, volume, options, once] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!, waiting: 0});
for (;;) {
  await withQuiet(runtime, [volume!], JSON.parse(options!), async () => {
    process.stdout.write('holds\n');
    if (once !== undefined) await new Promise(resolve => setInterval(resolve, 2 ** 30));
  });
}
