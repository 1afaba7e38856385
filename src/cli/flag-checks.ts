/** What a flag's value has to look like: each throws with the words of Go's strconv and of the docker client. */

export function checkInteger(text: string): void {
  if (!/^[+-]?\d+$/.test(text))
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (!Number.isSafeInteger(Number(text))) {
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  }
}

export function checkUint16(text: string): void {
  if (!/^\d+$/.test(text))
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Number(text) > 65_535)
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
}

/** A number of CPUs: Docker counts in billionths of one. */
export function checkCpus(text: string): void {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text))
    throw new Error(`failed to parse ${text} as a rational number`);
  const nano = Number(text) * 1e9;
  if (Math.abs(nano - Math.round(nano)) > 1e-3) throw new Error('value is too precise');
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
