// Compiles the seccomp filter that most containers have while building: src/sdk/seccomp/built-filter.ts says why.

const ARCHITECTURES = ['x64', 'arm64'];
const SOURCE = `
  export {compileSeccomp, DOCKER_PROFILE} from './src/sdk/seccomp/index.ts';
  export {DOCKER_CAPABILITIES} from './src/sdk/capabilities.ts';`;
/** From the oldest that Coracle runs on to one that is not there yet: their filters are the same. */
const KERNELS = [
  [5, 15],
  [999, 0],
];

/** The JSON of a `BuiltFilters`. @param build esbuild's */
export async function builtFilters(build, root) {
  const {outputFiles} = await build({
    stdin: {contents: SOURCE, resolveDir: root, loader: 'ts'},
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
  });
  const code = Buffer.from(outputFiles[0].contents).toString('base64');
  const {compileSeccomp, DOCKER_PROFILE, DOCKER_CAPABILITIES} = await import(
    `data:text/javascript;base64,${code}`
  );
  const programs = ARCHITECTURES.map(architecture => {
    const capabilities = new Set(DOCKER_CAPABILITIES);
    const [program, ...others] = KERNELS.map(kernel =>
      Buffer.from(compileSeccomp(DOCKER_PROFILE, {architecture, capabilities, kernel})).toString('base64'),
    );
    if (others.some(other => other !== program)) throw new Error('the default filter depends on the kernel');
    return [architecture, program];
  });
  return JSON.stringify({capabilities: DOCKER_CAPABILITIES, programs: Object.fromEntries(programs)});
}
