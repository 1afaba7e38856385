/** Coracle as users run it: the bundle that `npm run build` writes, with the types of its sources. */
import {existsSync} from 'node:fs';

const bundle = new URL('../dist/index.js', import.meta.url);
if (!existsSync(bundle)) throw new Error('dist/index.js is missing: npm run build');

export const {Container, Image, Runtime, Volume} = (await import(
  bundle.href
)) as typeof import('../src/index.js');
export type {RunOptions, Runtime as OpenRuntime} from '../src/index.js';
