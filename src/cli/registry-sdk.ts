import type {
  CopyOptions,
  LoggedIn,
  PullProgress,
  PushProgress,
  searchImages,
  VerifiedImage,
} from '../sdk/index.js';

/** What the commands need of registries: a part of `Sdk`. */
export interface RegistrySdk {
  /** An image, or with `allTags` every one of its repository. */
  pullImage(name: string, options: PullCall): Promise<void>;
  pushImage(name: string, options: PushCall): Promise<void>;
  /** Without a password: with the credentials that are stored. */
  login(
    server: string | undefined,
    options: {readonly username?: string; readonly password?: string},
  ): Promise<LoggedIn>;
  /** Whose credentials are stored. */
  loginOf(
    server: string | undefined,
  ): Promise<{readonly registry: string; readonly username: string} | undefined>;
  /** @returns the server's name as Docker says it */
  logout(server: string | undefined): Promise<string>;
  listTags(repository: string): Promise<readonly string[]>;
  /** When images were made, RFC 3339, by tag; without those that do not say. */
  tagDates(repository: string, tags: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** The manifest or index as its registry has it. */
  readManifest(reference: string): Promise<{readonly digest: string; readonly bytes: Buffer}>;
  /** @returns the digest */
  copyImage(from: string, to: string, options: CopyOptions): Promise<string>;
  signImage(
    reference: string,
    options: {readonly key: string; readonly passphrase?: string},
  ): Promise<string>;
  /** What was signed with that key. */
  verifyImage(reference: string, options: {readonly key: string}): Promise<VerifiedImage>;
  searchImages(term: string, options: {readonly limit: number}): ReturnType<typeof searchImages>;
}

export interface PullCall {
  readonly allTags?: boolean;
  readonly platform?: string;
  readonly onProgress?: (progress: PullProgress) => void;
  readonly signal?: AbortSignal;
}

export interface PushCall {
  readonly allTags?: boolean;
  readonly onProgress?: (progress: PushProgress) => void;
  readonly signal?: AbortSignal;
}
