import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {CoracleError} from '../../../errors.js';

export interface MetricsServer extends AsyncDisposable {
  /** `127.0.0.1:9580` */
  readonly address: string;
}

/** Answers GET /metrics. @param listen `HOST:PORT` @throws `ERR_INVALID_OPTION` */
export async function serveMetrics(listen: string, text: () => string): Promise<MetricsServer> {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(listen) ?? [];
  if (host === undefined || Number(port) > 65_535)
    throw new CoracleError('ERR_INVALID_OPTION', `metrics: ${JSON.stringify(listen)} is no HOST:PORT`);
  const server = createServer((request, response) => {
    const known = request.url === '/metrics' && ['GET', 'HEAD'].includes(request.method ?? '');
    response.writeHead(known ? 200 : 404, {'content-type': 'text/plain; version=0.0.4; charset=utf-8'});
    response.end(known && request.method === 'GET' ? text() : undefined);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        new CoracleError('ERR_INVALID_OPTION', `metrics: cannot listen on ${listen}: ${cause.message}`, {
          cause,
        }),
      ),
    );
    server.listen(Number(port), host.replace(/^\[(.*)\]$/, '$1'), resolve);
  });
  const {address, port: bound} = server.address() as AddressInfo;
  return {
    address: `${address.includes(':') ? `[${address}]` : address}:${bound}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
