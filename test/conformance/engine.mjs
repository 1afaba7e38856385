// What a conformance runner calls: the built package, with the options of test/inspect/conformance/README.md.
//   npm run build && node run.mjs test/conformance/engine.mjs
import {compileInspect, compileTemplate, formatList, parseJson} from '../../dist/inspect.js';

/**
 * @param {string} templateText
 * @param {unknown} data the parsed document; `opts.dataText` is its text, which tells 1.0 from 1
 * @returns {string} what is printed; throws an Error whose message is what is printed instead
 */
export function render(templateText, data, {mode, dataText = JSON.stringify(data), ...opts}) {
  if (mode === 'list') {
    const {object, headers, rows, labels} = data;
    return formatList(object, rows, templateText, {headers, labels});
  }
  if (mode === 'inspect') return inspect(templateText, dataText, opts.object);
  return compileTemplate(templateText, {missingKey: opts.missingKey})(parseJson(dataText, opts.decode));
}

function inspect(templateText, dataText, kind) {
  try {
    return `${compileInspect(templateText)(kind, dataText)}\n`;
  } catch (error) {
    throw error.kind === 'data' ? error : new Error(`template parsing error: ${error.message}`);
  }
}
