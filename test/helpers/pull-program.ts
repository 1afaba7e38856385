/** A program that pulls an image. Arguments: the root, the run-time directory, the image's name. */
import {Image, Runtime} from '../../src/index.js';

const [root, run, name] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!});
await Image.pull(name!, {}, {runtime});
await runtime.close();
