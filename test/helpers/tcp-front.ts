/** A way to a server on loopback that can be cut, with all connections that go through it, and mended. */
import {once} from 'node:events';
import net, {type AddressInfo, type Socket} from 'node:net';

export class TcpFront implements AsyncDisposable {
  readonly #server: net.Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(behind: number) {
    this.#server = net.createServer(client => {
      if (this.#isCut) return client.resetAndDestroy();
      const server = net.connect({host: '127.0.0.1', port: behind});
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => {}); // 'close' follows
        from.once('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  }

  /** @param behind the server's port */
  static async start(behind: number): Promise<TcpFront> {
    const front = new TcpFront(behind);
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  get name(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Amid whatever is being sent. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}
