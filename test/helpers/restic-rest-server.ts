/**
 * A server of restic's REST protocol, version 1, that keeps everything in memory: enough for one repository at its root.
 * @see https://restic.readthedocs.io/en/stable/REST_backend.html
 */

import {once} from 'node:events';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';

export class RestServer implements AsyncDisposable {
  readonly blobs = new Map<string, Buffer>();
  /** Of the requests that came, as they were sent. */
  readonly authorizations = new Set<string | undefined>();
  /** Cuts the connection of whatever is sent from then on. */
  isVanished = false;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<RestServer> {
    const server = new RestServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.authorizations.add(request.headers.authorization);
    if (this.isVanished) return void request.socket.destroy();
    const {pathname, searchParams} = new URL(request.url!, 'http://host');
    const found = this.blobs.get(pathname);
    const end = (status: number, body?: Buffer | string) => response.writeHead(status).end(body);
    if (request.method === 'POST' && searchParams.has('create')) return void end(200);
    if (request.method === 'POST') {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (this.isVanished) return void request.socket.destroy();
      this.blobs.set(pathname, Buffer.concat(chunks));
      return void end(200);
    }
    if (pathname.endsWith('/')) {
      const names = [...this.blobs.keys()].filter(path => path.startsWith(pathname));
      return void end(200, JSON.stringify(names.map(path => path.slice(pathname.length))));
    }
    if (found === undefined) return void end(404);
    if (request.method === 'DELETE') {
      this.blobs.delete(pathname);
      return void end(200);
    }
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const part = found.subarray(Number(from ?? 0), to ? Number(to) + 1 : undefined);
    response.writeHead(from === undefined ? 200 : 206, {'content-length': part.length});
    response.end(request.method === 'HEAD' ? undefined : part);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
