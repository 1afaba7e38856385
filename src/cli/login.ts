import {text} from 'node:stream/consumers';
import {ask} from './ask.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'login',
  usage: '[OPTIONS] [SERVER]',
  summary: 'Authenticate to a registry',
  flags: [
    {name: 'password', short: 'p', type: 'string', summary: 'Password or Personal Access Token (PAT)'},
    {name: 'password-stdin', summary: 'Take the Password or Personal Access Token (PAT) from stdin'},
    {name: 'username', short: 'u', type: 'string', summary: 'Username'},
  ],
  least: 0,
  most: 1,
  examples: [
    'coracle login localhost:5000',
    'coracle login --username ada --password-stdin localhost:5000 <~/.registry-password',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const {stdout, stderr} = context;
  const [server] = call.words;
  if (call.value('password') !== undefined) {
    stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
    if (call.has('password-stdin')) {
      throw new ClientError('conflicting options: cannot specify both --password and --password-stdin');
    }
  }
  const username = call.value('username');
  if (call.has('password-stdin') && !username) {
    throw new ClientError('the --password-stdin option requires --username to be set');
  }
  const password = call.has('password-stdin')
    ? (await text(context.stdin)).replace(/\r?\n$/, '')
    : call.value('password');
  const sdk = await context.sdk();
  if (!username && !password) {
    const known = await sdk.loginOf(server);
    if (known !== undefined) {
      stdout.write(
        `Authenticating with existing credentials... [Username: ${known.username}]\n\n` +
          ` Info -> To login with a different account, run 'coracle logout' followed by 'coracle login'\n\n\n`,
      );
      await sdk.login(server, {});
      stdout.write('Login Succeeded\n');
      return 0;
    }
  }
  const {unencryptedIn} = await sdk.login(server, await completed(context, username, password));
  if (unencryptedIn !== undefined) {
    stderr.write(
      `\nWARNING! Your credentials are stored unencrypted in '${unencryptedIn}'.\n` +
        'Configure a credential helper to remove this warning. See\n' +
        'https://docs.docker.com/go/credential-store/\n\n',
    );
  }
  stdout.write('Login Succeeded\n');
  return 0;
}

/** Asks whoever sits at the terminal for what is missing. */
async function completed(context: Context, username?: string, password?: string) {
  if (username && password) return {username, password};
  if (!context.stdin.isTTY) {
    throw new ClientError('Error: Cannot perform an interactive login from a non TTY device');
  }
  const name = username || (await ask(context, 'Username: ', {echo: true}));
  if (name === '') throw new ClientError('Error: Non-null Username Required');
  const secret = password || (await ask(context, 'Password: ', {echo: false}));
  if (secret === '') throw new ClientError('Error: Password Required');
  return {username: name, password: secret};
}
