import {parseInteger} from './parse-number.js';

/** What a flag's value has to look like: each throws with the words of Go's strconv and of the docker client. */

export function checkInteger(text: string): void {
  parseInteger(text);
}

export function checkEnv(text: string): void {
  if (text === '' || text.startsWith('=')) throw new Error(`invalid environment variable: ${text}`);
}

export function checkLabel(text: string): void {
  if (text === '' || text.startsWith('=')) throw new Error(`invalid label '${text}': empty name`);
  const [name = ''] = text.split('=');
  if (/\s/.test(name.trimStart())) throw new Error(`label '${name.trimStart()}' contains whitespaces`);
}

/** docker/cli opts.ValidateSysctl: namespaced ones only. */
export function checkSysctl(text: string): void {
  const [name = ''] = text.split('=');
  const known =
    text.includes('=') &&
    (/^(net|fs\.mqueue)\./.test(name) ||
      /^kernel\.(msgmax|msgmnb|msgmni|sem|shm(all|max|mni|_rmid_forced))$/.test(name));
  if (!known) throw new Error(`sysctl '${text}' is not allowed`);
}

export function checkFilter(text: string): void {
  if (text !== '' && !text.includes('=')) throw new Error('bad format of filter (expected name=value)');
}
