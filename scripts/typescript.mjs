// `node --import=./scripts/typescript.mjs`: tests load TypeScript as it lies there. tsx does the same and more; the suite
// starts some two hundred processes, and in each of them this takes half of its time. What esbuild made of a file is
// kept in node_modules/.cache until the file changes.
import {register} from 'node:module';

process.setSourceMapsEnabled(true);
register('./typescript-hooks.mjs', import.meta.url);
