/**
 * What `ts-inspect` can do besides printing objects: a file of its own once it is built, which the everyday command line
 * need not read. Errors that leave it are of its own classes: they are told by their codes.
 */
export {complete, printScript} from './inspect-completion.js';
export {explain} from './inspect-explain.js';
export {HELP} from './inspect-help.js';
export {waitFor, watch} from './inspect-watch.js';
