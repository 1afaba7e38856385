import {readdirSync, readFileSync} from 'node:fs';
import type {CoracleError, RunOptions} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

/** What dockerd answered to the same mistake, as recorded: test/fixtures/docker/cli-errors.jsonl. */
const DOCKER_ERRORS = readFileSync(new URL('../fixtures/docker/cli-errors.jsonl', import.meta.url), 'utf8');

interface Mistake {
  readonly what: string;
  readonly options: RunOptions;
  readonly image?: string;
  readonly code: string;
  /** Part of the error's message. */
  readonly message: string;
  /** dockerd says the same, word by word. */
  readonly docker?: true;
}

const MISTAKES: readonly Mistake[] = [
  {
    what: 'an image that is not in the store',
    image: 'nope',
    options: {pull: 'never'},
    code: 'ERR_IMAGE_NOT_FOUND',
    message: 'No such image: nope:latest',
    docker: true,
  },
  {
    what: 'a program that the image has not',
    options: {command: ['nope']},
    code: 'ERR_COMMAND_NOT_FOUND',
    message: 'exec: "nope": executable file not found in $PATH',
    docker: true,
  },
  {
    what: 'a path that the image has not',
    options: {command: ['/bin/nope']},
    code: 'ERR_COMMAND_NOT_FOUND',
    message: 'exec: "/bin/nope": stat /bin/nope: no such file or directory',
    docker: true,
  },
  {
    what: 'an empty command',
    options: {command: ['']},
    code: 'ERR_COMMAND_NOT_FOUND',
    message: 'exec: "": executable file not found in $PATH',
    docker: true,
  },
  {
    what: 'a file that is not executable',
    options: {command: ['/etc/hosts']},
    code: 'ERR_COMMAND_NOT_EXECUTABLE',
    message: 'exec: "/etc/hosts": permission denied',
  },
  {
    what: 'a directory as the program',
    options: {command: ['/etc']},
    code: 'ERR_COMMAND_NOT_EXECUTABLE',
    message: 'exec: "/etc": permission denied',
    docker: true,
  },
  {
    what: 'a bind mount whose source is missing',
    options: {command: ['true'], mounts: [{type: 'bind', source: '/nope', target: '/x'}]},
    code: 'ERR_MOUNT_SOURCE',
    message: 'invalid mount config for type "bind": bind source path does not exist: /nope',
    docker: true,
  },
  {
    what: 'a user that the image does not know',
    options: {command: ['true'], user: 'nope'},
    code: 'ERR_USER_UNKNOWN',
    message: 'unable to find user nope: no matching entries in passwd file',
    docker: true,
  },
  {
    what: 'a device that does not exist',
    options: {command: ['true'], devices: [{source: '/dev/nope'}]},
    code: 'ERR_DEVICE_NOT_FOUND',
    message:
      'error gathering device information while adding custom device "/dev/nope": no such file or directory',
    docker: true,
  },
  {
    what: 'a memory limit below 6 MiB, under which a start would hang,',
    options: {command: ['true'], limits: {memoryBytes: 6 * 1024 * 1024 - 1}},
    code: 'ERR_INVALID_OPTION',
    message: 'Minimum memory limit allowed is 6MB',
    docker: true,
  },
  {
    what: 'more processors than the host has',
    options: {command: ['true'], limits: {cpusetCpus: '999'}},
    code: 'ERR_INVALID_OPTION',
    message: 'Requested CPUs are not available - requested 999, available: ',
  },
  {
    what: 'a host name that is too long',
    options: {command: ['true'], hostname: 'x'.repeat(65)},
    code: 'ERR_INVALID_OPTION',
    message: 'hostname',
  },
  {
    what: 'a working directory that is a file',
    options: {command: ['true'], workdir: '/etc/passwd'},
    code: 'ERR_START_FAILED',
    message: 'Cannot mkdir: /etc/passwd is not a directory',
    docker: true,
  },
];

for (const {what, options, image = 'host-shell', code, message, docker} of MISTAKES) {
  asRoot.serial(`${what} is refused: ${message}${docker ? ', as dockerd says' : ''}`, async t => {
    const {root} = await own.runtime.then(({store}) => store);
    const error = (await t.throwsAsync(own.run(options, image))) as CoracleError;
    t.is(error.code, code, error.message);
    t.true(error.message.includes(message), error.message);
    if (docker)
      t.true(DOCKER_ERRORS.includes(JSON.stringify(message).slice(1, -1)), `dockerd never said ${message}`);
    t.deepEqual(readdirSync(`${root}/containers`), []);
    t.deepEqual(readdirSync(`${root}/names`), []);
  });
}

asRoot('the kernel’s refusal is the cause, with the step that was refused', async t => {
  const error = (await t.throwsAsync(own.run({command: ['/etc']}))) as CoracleError;
  t.like(error.cause, {code: 'ERR_NATIVE', stage: 'exec', errno: 'EACCES'});
});

asRoot('what the kernel refuses otherwise names the step, its subject and the reason', async t => {
  const error = (await t.throwsAsync(
    own.run({command: ['true'], sysctls: {'net.ipv4.ip_forward': 'not a number'}}),
  )) as CoracleError;
  t.is(error.code, 'ERR_START_FAILED');
  t.regex(error.message, /sysctl net\.ipv4\.ip_forward .*EINVAL/);
});
