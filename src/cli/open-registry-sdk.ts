import {
  copyImage,
  Image,
  listTags,
  login,
  loginOf,
  logout,
  type Runtime,
  readManifest,
  searchImages,
  signImage,
  tagDates,
  verifyImage,
} from '../sdk/index.js';
import type {RegistrySdk} from './registry-sdk.js';

/** What the SDK does at registries, as the commands know it. */
export function registrySdk(runtime: Runtime): RegistrySdk {
  const here = {runtime};
  return {
    pullImage: async (name, {allTags = false, ...options}) => {
      await (allTags ? Image.pullAll(name, options, here) : Image.pull(name, options, here));
    },
    pushImage: async (name, {allTags = false, ...options}) => {
      await (allTags ? Image.pushAll(name, options, here) : Image.push(name, options, here));
    },
    login: (server, options) => login(server, options, here),
    loginOf: server => loginOf(server, here),
    logout: server => logout(server, here),
    listTags: repository => listTags(repository, {}, here),
    tagDates: (repository, tags) => tagDates(repository, tags, {}, here),
    readManifest: reference => readManifest(reference, {}, here),
    copyImage: (from, to, options) => copyImage(from, to, options, here),
    signImage: (reference, options) => signImage(reference, options, here),
    verifyImage: (reference, options) => verifyImage(reference, options, here),
    searchImages: (term, options) => searchImages(term, options, here),
  };
}
