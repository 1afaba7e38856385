import type {ByteString} from './byte-string.js';
import {Evaluator, type Limits, type MissingKey} from './evaluate.js';
import {type FunctionTable, printable} from './functions.js';
import type {BranchNode, ListNode, Statement, TemplateNode} from './nodes.js';
import type {ParsedTemplate} from './parse.js';
import {sprint, sprintf} from './printf.js';
import {quote} from './quote.js';
import {TemplateError} from './template-error.js';
import {isInteger} from './types.js';
import {
  at,
  indirect,
  indirectInterface,
  isTrue,
  length,
  mapIndex,
  NOTHING,
  ofInt,
  sortedKeys,
  type Value,
} from './value.js';

/** Third stage: trees and data to text. */
export interface ExecuteOptions {
  readonly functions: FunctionTable;
  readonly builtins: FunctionTable;
  readonly missingKey: MissingKey;
  readonly limits: Limits;
}

/** text/template's bound. Templates within templates live on a stack of our own, so it can be Go's. */
const MAX_TEMPLATE_DEPTH = 100_000;

export function execute(template: ParsedTemplate, data: Value, options: ExecuteOptions): ByteString {
  return new Execution(template, options).run(data);
}

interface ListFrame {
  readonly kind: 'list';
  readonly list: ListNode;
  readonly dot: Value;
  next: number;
  /** Variables to keep when the list is done. */
  readonly variables: number | undefined;
}
interface RangeFrame {
  readonly kind: 'range';
  readonly node: BranchNode;
  readonly iterations: Iterator<Iteration, void>;
  /** Variables outside the loop, and at the start of each iteration. */
  readonly outside: number;
  readonly inside: number;
}
interface TemplateFrame {
  readonly kind: 'template';
  /** The caller's, to return to. */
  readonly name: ByteString;
  readonly variables: Evaluator['variables'];
}
/** Around the else branch of a range: Go lets `break` leave that branch, and `continue` go on with the loop outside. */
interface ElseFrame {
  readonly kind: 'rangeElse';
}
type Frame = ListFrame | RangeFrame | ElseFrame | TemplateFrame;

interface Iteration {
  readonly index: Value;
  readonly element: Value;
}

class Execution {
  readonly #templates: ParsedTemplate['templates'];
  readonly #root: ListNode;
  readonly #evaluator: Evaluator;
  readonly #maxOutputBytes: number;
  readonly #frames: Frame[] = [];
  #depth = 0;
  #out: ByteString = '';

  constructor({text, root, templates}: ParsedTemplate, options: ExecuteOptions) {
    this.#templates = templates;
    this.#root = root;
    this.#maxOutputBytes = options.limits.maxOutputBytes;
    this.#evaluator = new Evaluator(
      text,
      options.functions,
      options.builtins,
      options.missingKey,
      options.limits,
    );
  }

  run(data: Value): ByteString {
    this.#evaluator.variables = [{name: '$', value: data}];
    this.#enter(this.#root, data);
    try {
      for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1))
        this.#step(frame);
    } catch (error) {
      if (error instanceof TemplateError) error.output = this.#out;
      throw error;
    }
    return this.#out;
  }

  #enter(list: ListNode, dot: Value, variables?: number): void {
    this.#frames.push({kind: 'list', list, dot, next: 0, variables});
  }

  #step(frame: Frame): void {
    if (frame.kind === 'list') {
      const node = frame.list.nodes[frame.next++];
      if (node !== undefined) {
        this.#statement(node, frame.dot);
        return;
      }
      if (frame.variables !== undefined) this.#evaluator.variables.length = frame.variables;
      this.#frames.pop();
    } else if (frame.kind === 'range') {
      this.#iterate(frame);
    } else if (frame.kind === 'rangeElse') {
      this.#frames.pop();
    } else {
      this.#evaluator.template = frame.name;
      this.#evaluator.variables = frame.variables;
      this.#depth--;
      this.#frames.pop();
    }
  }

  #statement(node: Statement, dot: Value): void {
    const evaluator = this.#evaluator;
    evaluator.at(node);
    switch (node.type) {
      case 'text':
        this.#write(node.text);
        return;
      case 'action': {
        const value = evaluator.pipeline(dot, node.pipe);
        if (node.pipe.variables.length > 0) return;
        evaluator.at(node);
        this.#write(sprint([printable(value)]));
        return;
      }
      case 'if':
      case 'with': {
        const outside = evaluator.variables.length;
        const value = evaluator.pipeline(dot, node.pipe);
        if (isTrue(indirectInterface(value)))
          this.#enter(node.list, node.type === 'with' ? value : dot, outside);
        else if (node.elseList !== undefined) this.#enter(node.elseList, dot, outside);
        else evaluator.variables.length = outside;
        return;
      }
      case 'range':
        this.#range(node, dot);
        return;
      case 'template':
        this.#template(node, dot);
        return;
      case 'break':
      case 'continue':
        this.#leaveTo(node.type);
        return;
      case 'list':
        this.#enter(node, dot);
    }
  }

  #write(text: ByteString): void {
    this.#out += text;
    if (this.#out.length > this.#maxOutputBytes) {
      this.#evaluator.failLimit(`more than ${this.#maxOutputBytes} bytes of output`);
    }
  }

  #range(node: BranchNode, dot: Value): void {
    const {variables} = this.#evaluator;
    const outside = variables.length;
    const {value} = indirect(this.#evaluator.pipeline(dot, node.pipe));
    const iterations = this.#iterations(node, value);
    if (iterations !== undefined) {
      this.#frames.push({kind: 'range', node, iterations, outside, inside: variables.length});
      return;
    }
    variables.length = outside;
    if (node.elseList === undefined) return;
    this.#frames.push({kind: 'rangeElse'});
    this.#enter(node.elseList, dot, outside);
  }

  /** Undefined if there are none: then it is the else branch's turn. */
  #iterations(node: BranchNode, value: Value): Iterator<Iteration, void> | undefined {
    const {kind} = value.type;
    if (kind === 'invalid' || (kind === 'interface' && value.data === null)) return undefined;
    if (isInteger(kind)) {
      if (node.pipe.variables.length > 1) {
        this.#evaluator.fail(`can't use ${sprintf('%v', [value])} to iterate over more than one variable`);
      }
      return (value.data as bigint) > 0n ? integers(value) : undefined;
    }
    if (kind !== 'slice' && kind !== 'array' && kind !== 'map') {
      this.#evaluator.fail(`range can't iterate over ${sprintf('%v', [value])}`);
    }
    if (length(value) === 0) return undefined;
    return kind === 'map' ? mapEntries(value) : items(value);
  }

  #iterate(frame: RangeFrame): void {
    const evaluator = this.#evaluator;
    const {variables} = evaluator;
    evaluator.countStep();
    variables.length = frame.inside;
    const {value: iteration} = frame.iterations.next();
    if (iteration === undefined) {
      variables.length = frame.outside;
      this.#frames.pop();
      return;
    }
    const {variables: names, isAssign} = frame.node.pipe;
    const {index, element} = iteration;
    if (isAssign) {
      // One variable takes the element; two take index and element.
      if (names.length > 1) evaluator.setVariable(names[0]!.path[0]!, index);
      if (names.length > 0) evaluator.setVariable(names.at(-1)!.path[0]!, element);
    } else {
      if (names.length > 0) variables.at(-1)!.value = element;
      if (names.length > 1) variables.at(-2)!.value = index;
    }
    this.#enter(frame.node.list, element);
  }

  /** The parser made sure that there is a range around, in this template. */
  #leaveTo(type: 'break' | 'continue'): void {
    let frame = this.#frames.at(-1)!;
    let variables: number | undefined;
    while (frame.kind !== 'range' && !(frame.kind === 'rangeElse' && type === 'break')) {
      if (frame.kind === 'list') variables = frame.variables ?? variables;
      this.#frames.pop();
      frame = this.#frames.at(-1)!;
    }
    // What the branches in between declared is out of scope; a range cuts back to its own anyway.
    if (variables !== undefined) this.#evaluator.variables.length = variables;
    if (type === 'continue') return;
    if (frame.kind === 'range') this.#evaluator.variables.length = frame.outside;
    this.#frames.pop();
  }

  #template(node: TemplateNode, dot: Value): void {
    const evaluator: Evaluator = this.#evaluator;
    const list = this.#templates.get(node.name);
    if (list === undefined) evaluator.fail(`template ${quote(node.name)} not defined`);
    if (this.#depth === MAX_TEMPLATE_DEPTH) {
      evaluator.fail(`exceeded maximum template depth (${MAX_TEMPLATE_DEPTH})`);
    }
    const value = node.pipe === undefined ? NOTHING : evaluator.pipeline(dot, node.pipe);
    this.#frames.push({kind: 'template', name: evaluator.template, variables: evaluator.variables});
    this.#depth++;
    evaluator.template = node.name;
    evaluator.variables = [{name: '$', value}];
    this.#enter(list, value);
  }
}

function* integers(count: Value): Generator<Iteration, void> {
  const {type} = count;
  for (let i = 0n; i < (count.data as bigint); i++) yield {index: NOTHING, element: {type, data: i}};
}

function* items(list: Value): Generator<Iteration, void> {
  for (let i = 0; i < length(list); i++) yield {index: ofInt(i), element: at(list, i)};
}

function* mapEntries(map: Value): Generator<Iteration, void> {
  for (const key of sortedKeys(map)) {
    yield {index: {type: map.type.key!, data: key}, element: mapIndex(map, key)};
  }
}
