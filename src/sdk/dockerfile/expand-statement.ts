/** Replaces the variables of a statement, in those of its words where Docker does. */
import {expandWord, expandWords} from './expand-words.js';
import type {Pair, Step} from './instructions.js';
import {syntaxError, WordError} from './syntax-error.js';

/** @throws `ERR_DOCKERFILE_SYNTAX` */
export function expandStep<Any extends Step>(
  step: Any,
  lookup: (name: string) => string | undefined,
  escapeToken: string,
): Any {
  const word = (text: string) => expandWord(text, {lookup, escapeToken});
  try {
    return {...step, ...expanded(step, word, text => expandWords(text, {lookup, escapeToken}), lookup)};
  } catch (error) {
    throw error instanceof WordError ? syntaxError(error.message, step.at, step.at.text) : error;
  }
}

function expanded(
  step: Step,
  word: (text: string) => string,
  words: (text: string) => string[],
  lookup: (name: string) => string | undefined,
): Partial<Step> {
  const optional = <Name extends string>(name: Name, text: string | undefined) =>
    (text === undefined ? {} : {[name]: word(text)}) as {readonly [Key in Name]?: string};
  switch (step.kind) {
    case 'from':
      return {base: word(step.base), ...optional('platform', step.platform)};
    case 'arg':
      return {args: step.args.map(({name, value}) => ({name: word(name), ...optional('value', value)}))};
    case 'env':
    case 'label':
      return {
        pairs: step.pairs.map((pair): Pair => ({...pair, name: word(pair.name), value: word(pair.value)})),
      };
    case 'add':
    case 'copy':
      return {
        sources: step.sources.map(word),
        destination: word(step.destination),
        exclude: step.exclude.map(word),
        inline: step.inline.map(heredoc =>
          heredoc.expand
            ? {...heredoc, content: expandWord(heredoc.content, {lookup, ignoreQuotes: true})}
            : heredoc,
        ),
        ...optional('chown', step.chown),
        ...optional('chmod', step.chmod),
        ...(step.kind === 'add' ? optional('checksum', step.checksum) : {}),
      };
    case 'run':
      return {mounts: step.mounts.map(mount => mount.replace(/=([^,]*)/g, (_, value) => `=${word(value)}`))};
    case 'workdir':
      return {path: word(step.path)};
    case 'user':
      return {user: word(step.user)};
    case 'volume':
      return {paths: step.paths.map(word)};
    case 'expose':
      return {ports: step.ports.flatMap(words)};
    case 'stopsignal':
      return {signal: word(step.signal)};
    default:
      return {}; // the others are for a shell, or for later
  }
}
