export {
  type CoreFile,
  checked,
  coreFile,
  declare,
  declareIn,
  errnoName,
  type NativeFunction,
  packageRoot,
  requireCore,
  type SystemLibrary,
} from './native.js';
