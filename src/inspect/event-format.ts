import {DEFAULT_COMPAT} from './compat.js';
import {dockerType} from './docker-schema.js';
import {readJson} from './json-read.js';
import {compileForValues} from './template.js';
import {TemplateError} from './template-error.js';
import {typedView} from './typed-view.js';
import {pointerTo} from './types.js';

/**
 * `docker events --format`: a template for each message, or `json`. Tried on an empty message first, so that a wrong name
 * is told before anything happens.
 * @returns takes the engine's JSON of a message
 * @throws TemplateError with the message Docker prints
 * @example compileEvents('{{.Action}} {{.Actor.Attributes.name}}')(text)
 */
export function compileEvents(format: string): (jsonText: string) => string {
  const type = pointerTo(dockerType('event', DEFAULT_COMPAT));
  const explained = <T>(run: () => T): T => {
    try {
      return run();
    } catch (error) {
      if (error instanceof TemplateError) error.message = `Error parsing format: ${error.message}`;
      throw error;
    }
  };
  const render = explained(() => compileForValues(format === 'json' ? '{{json .}}' : format));
  const view = (jsonText: string) => typedView(type, readJson(jsonText, 'number'));
  explained(() => render(view('{}')));
  return jsonText => render(view(jsonText));
}
