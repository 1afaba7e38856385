/** An HTTP server of the test's own, alone or in front of another one, that can be told to misbehave. */
import {once} from 'node:events';
import http, {type IncomingMessage, type ServerResponse} from 'node:http';
import https from 'node:https';
import type {AddressInfo} from 'node:net';
import {buffer} from 'node:stream/consumers';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
}

/** True: it has answered. False: the request goes on to the server behind, or is answered with 404. */
export type Interference = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export interface FrontOptions {
  readonly interfere?: Interference;
  /** The port of what is behind. */
  readonly behind?: number;
  readonly tls?: https.ServerOptions;
}

export class HttpFront implements AsyncDisposable {
  readonly #server: http.Server;
  readonly seen: SeenRequest[] = [];
  readonly #options: FrontOptions;
  /** May be replaced amid a test. */
  interfere: Interference | undefined;

  private constructor(options: FrontOptions) {
    this.#options = options;
    this.interfere = options.interfere;
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch(error => response.destroy(error));
    };
    this.#server = options.tls ? https.createServer(options.tls, answer) : http.createServer(answer);
  }

  static async start(options: FrontOptions = {}): Promise<HttpFront> {
    const front = new HttpFront(options);
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get name(): string {
    return `localhost:${this.port}`;
  }

  /** `GET /v2/`, in the order of arrival. */
  get asked(): string[] {
    return this.seen.map(({method, path}) => `${method} ${path}`);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.seen.push({method: request.method!, path: request.url!, headers: request.headers});
    if (await this.interfere?.(request, response)) return;
    if (this.#options.behind === undefined) response.writeHead(404).end();
    else await forward(request, response, this.#options.behind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** @param change what to send in place of the answer's body */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
  change?: (body: Buffer) => Buffer,
): Promise<void> {
  const answer = await askBehind(request, port);
  if (change === undefined) {
    response.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(response);
    return;
  }
  const changed = change(await buffer(answer));
  response.writeHead(answer.statusCode!, {...answer.headers, 'content-length': changed.length});
  response.end(changed);
}

async function askBehind(request: IncomingMessage, port: number): Promise<IncomingMessage> {
  const {method, url, headers} = request;
  const onward = http.request({host: '127.0.0.1', port, method, path: url, headers});
  onward.end(await buffer(request));
  const [answer] = (await once(onward, 'response')) as [IncomingMessage];
  return answer;
}

/** Sends so many bytes of what the server behind would, all of which arrive, and breaks the connection. */
export async function cutAfter(
  bytes: number,
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
): Promise<void> {
  const answer = await askBehind(request, port);
  const whole = await buffer(answer);
  response.writeHead(answer.statusCode!, answer.headers);
  if (bytes >= whole.length) response.end(whole);
  else response.write(whole.subarray(0, bytes), () => response.socket?.end()); // a FIN after the last byte
}

/** Sends so many bytes of what the server behind would, and then nothing more. */
export async function stallAfter(
  bytes: number,
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
): Promise<void> {
  const answer = await askBehind(request, port);
  const whole = await buffer(answer);
  response.writeHead(answer.statusCode!, answer.headers);
  if (bytes >= whole.length) response.end(whole);
  else response.write(whole.subarray(0, bytes));
}
