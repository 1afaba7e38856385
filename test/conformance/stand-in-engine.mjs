// As much of an engine as the docker command line asks for when it inspects and lists: it serves JSON documents.
import {createServer} from 'node:http';

const KIND_PATHS = {
  containers: /^\/containers\/(?<name>[^/]+)\/json$/,
  images: /^\/images\/(?<name>.+)\/json$/,
  volumes: /^\/volumes\/(?<name>[^/]+)$/,
  networks: /^\/networks\/(?<name>[^/]+)$/,
};

/**
 * @param {string} socketPath where to listen
 * @param {Map<string, string>} objects JSON texts by kind and name: `containers/web`
 * @param {Map<string, string>} answers JSON texts by path, without version and query: `/images/json`
 */
export async function startEngine(socketPath, objects, answers = new Map()) {
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://engine').pathname.replace(/^\/v[\d.]+(?=\/)/, '');
    response.setHeader('Api-Version', '1.47');
    response.setHeader('Ostype', 'linux');
    response.setHeader('Content-Type', 'application/json');
    if (path === '/_ping') {
      response.end('OK');
      return;
    }
    const text = answers.get(path) ?? objectAt(path, objects);
    if (text === undefined) response.statusCode = 404;
    response.end(text ?? JSON.stringify({message: `no such object: ${path}`}));
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  return {
    close: () =>
      new Promise(resolve => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

function objectAt(path, objects) {
  for (const [kind, pattern] of Object.entries(KIND_PATHS)) {
    const name = pattern.exec(path)?.groups.name;
    if (name !== undefined) return objects.get(`${kind}/${decodeURIComponent(name)}`);
  }
  return undefined;
}
