/** Repositories of restic's. */
export {type OpenResticOptions, openRestic} from './restic-repository.js';
