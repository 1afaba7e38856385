/** The distribution protocol: what a registry has, brought here and taken there. No files: streams and verified digests. */
export {type Credentials, repositoryScope} from './authorization.js';
export {
  checkDigest,
  type DownloadOptions,
  downloadBlob,
  downloadDocument,
  readBlobRange,
} from './download-blob.js';
export {type DownloadedFile, downloadFile, isHttp, shownUrl} from './download-file.js';
export type {TlsMaterial} from './http.js';
export {listTags} from './list-tags.js';
export {
  deleteManifest,
  type FetchedManifest,
  fetchDocument,
  fetchManifest,
  headManifest,
  putManifest,
} from './manifests.js';
export {DOCKER_HUB, pullSources, Registry, type RegistrySettings} from './registry.js';
export {RegistryRefusal} from './registry-error.js';
export {DEFAULT_RETRY, type RetryPolicy} from './retry.js';
export {type FoundImage, searchRegistry} from './search.js';
export {addSignature, fetchSignatures} from './signatures.js';
export {type BlobSource, hasBlob, type Uploaded, uploadBlob} from './upload-blob.js';
