import type {ByteString} from './byte-string.js';
import type {FunctionTable, TemplateFunction} from './functions.js';
import {
  type CommandNode,
  type Expression,
  type FieldNode,
  type IdentifierNode,
  type Node,
  type NumberNode,
  nodeSource,
  type PipeNode,
  type VariableNode,
} from './nodes.js';
import {quote} from './quote.js';
import {TemplateError} from './template-error.js';
import {
  findField,
  isAssignable,
  isInteger,
  isSignedInteger,
  type Method,
  pointerTo,
  REFLECT_VALUE,
  type Signature,
  STRING,
  type Type,
} from './types.js';
import {
  elem,
  field as fieldOf,
  indirect,
  indirectInterface,
  isNilable,
  isTrue,
  isValid,
  mapIndex,
  NOTHING,
  ofBool,
  ofComplex,
  ofFloat,
  ofInt,
  ofString,
  type Value,
  zero,
} from './value.js';

export type MissingKey = 'default' | 'zero' | 'error';

export interface Limits {
  /** Nodes and commands executed. */
  readonly maxSteps: number;
  /** Bytes of output, and of any string on the way. */
  readonly maxOutputBytes: number;
}

interface Variable {
  readonly name: ByteString;
  value: Value;
}

/** No previous command in the pipeline: different from one that gave nothing. */
const ABSENT = Symbol('absent');
type Final = Value | typeof ABSENT;

/**
 * The value of pipelines, as text/template's exec.go defines it. The state of one run: variables, and the node that
 * an error would name. Errors quote the node evaluated last, so every `#at` is where Go has one.
 */
export class Evaluator {
  readonly #text: ByteString;
  readonly #functions: FunctionTable;
  readonly #builtins: FunctionTable;
  readonly #missingKey: MissingKey;
  readonly #limits: Limits;
  #steps = 0;
  #node: Node | undefined;
  /** Name of the template being executed. */
  template: ByteString = '';
  variables: Variable[] = [];

  constructor(
    text: ByteString,
    functions: FunctionTable,
    builtins: FunctionTable,
    missingKey: MissingKey,
    limits: Limits,
  ) {
    this.#text = text;
    this.#functions = functions;
    this.#builtins = builtins;
    this.#missingKey = missingKey;
    this.#limits = limits;
  }

  at(node: Node): void {
    this.#node = node;
    this.countStep();
  }

  /** Every node evaluated and every turn of a loop is a step: an empty loop must end too. */
  countStep(): void {
    if (++this.#steps > this.#limits.maxSteps) this.failLimit(`more than ${this.#limits.maxSteps} steps`);
  }

  fail(message: string, cause?: unknown): never {
    const {line, column} = this.#location();
    const source = nodeSource(this.#node!);
    throw new TemplateError(
      'exec',
      `template: :${line}:${column}: executing ${quote(this.template)} at <${source}>: ${message}`,
      {line, column, cause},
    );
  }

  failLimit(message: string): never {
    const {line, column} = this.#location();
    throw new TemplateError('limit', `template: :${line}:${column}: ${message}`, {line, column});
  }

  #location(): {line: number; column: number} {
    const before = this.#text.slice(0, this.#node?.pos ?? 0);
    const newline = before.lastIndexOf('\n');
    return {line: before.split('\n').length, column: before.length - (newline + 1)};
  }

  setVariable(name: ByteString, value: Value): void {
    for (let i = this.variables.length - 1; i >= 0; i--) {
      if (this.variables[i]!.name === name) {
        this.variables[i]!.value = value;
        return;
      }
    }
    this.fail(`undefined variable: ${name}`);
  }

  #variableValue(name: ByteString): Value {
    for (let i = this.variables.length - 1; i >= 0; i--) {
      if (this.variables[i]!.name === name) return this.variables[i]!.value;
    }
    return this.fail(`undefined variable: ${name}`);
  }

  pipeline(dot: Value, pipe: PipeNode): Value {
    this.at(pipe);
    let value: Final = ABSENT;
    for (const command of pipe.commands) value = indirectInterface(this.#command(dot, command, value));
    const result = value as Value;
    for (const {path} of pipe.variables) {
      if (pipe.isAssign) this.setVariable(path[0]!, result);
      else this.variables.push({name: path[0]!, value: result});
    }
    return result;
  }

  #notAFunction(args: readonly Expression[] | undefined, final: Final): void {
    if ((args !== undefined && args.length > 1) || final !== ABSENT) {
      this.fail(`can't give argument to non-function ${nodeSource(args![0]!)}`);
    }
  }

  #command(dot: Value, command: CommandNode, final: Final): Value {
    const {args} = command;
    const first = args[0]!;
    switch (first.type) {
      case 'field':
        return this.#field(dot, first, args, final);
      case 'chain':
        return this.#chain(dot, first, args, final);
      case 'identifier':
        return this.#function(dot, first, command, args, final);
      case 'pipe':
        this.#notAFunction(args, final);
        return this.pipeline(dot, first);
      case 'variable':
        return this.#variable(dot, first, args, final);
    }
    this.at(first);
    this.#notAFunction(args, final);
    switch (first.type) {
      case 'bool':
        return ofBool(first.value);
      case 'dot':
        return dot;
      case 'nil':
        return this.fail('nil is not a command');
      case 'number':
        return this.#constant(first);
      case 'string':
        return ofString(first.value);
      default:
        return first satisfies never;
    }
  }

  /** The syntax of a constant decides its type where nothing else does. */
  #constant(node: NumberNode): Value {
    this.at(node);
    const {int, uint, float, complex} = node.number;
    if (complex !== undefined) return ofComplex(complex);
    const isHexInteger = /^0[xX]/.test(node.text) && node.text.length > 2 && !/[pP]/.test(node.text);
    if (float !== undefined && !isHexInteger && !node.text.startsWith("'") && /[.eEpP]/.test(node.text)) {
      return ofFloat(float);
    }
    if (int !== undefined) return ofInt(int);
    return uint === undefined ? NOTHING : this.fail(`${node.text} overflows int`);
  }

  #field(dot: Value, node: FieldNode, args: readonly Expression[] | undefined, final: Final): Value {
    this.at(node);
    return this.#fieldChain(dot, dot, node, node.path, 0, args, final);
  }

  #chain(
    dot: Value,
    node: Extract<Expression, {type: 'chain'}>,
    args: readonly Expression[] | undefined,
    final: Final,
  ): Value {
    this.at(node);
    if (node.node.type === 'nil') this.fail(`indirection through explicit nil in ${nodeSource(node)}`);
    const receiver = this.#argument(dot, undefined, node.node);
    return this.#fieldChain(dot, receiver, node, node.fields, 0, args, final);
  }

  #variable(dot: Value, node: VariableNode, args: readonly Expression[] | undefined, final: Final): Value {
    this.at(node);
    const value = this.#variableValue(node.path[0]!);
    if (node.path.length > 1) return this.#fieldChain(dot, value, node, node.path, 1, args, final);
    this.#notAFunction(args, final);
    return value;
  }

  #fieldChain(
    dot: Value,
    start: Value,
    node: Node,
    path: readonly ByteString[],
    from: number,
    args: readonly Expression[] | undefined,
    final: Final,
  ): Value {
    let receiver = start;
    const last = path.length - 1;
    for (let i = from; i < last; i++)
      receiver = this.#fieldValue(dot, path[i]!, node, undefined, ABSENT, receiver);
    return this.#fieldValue(dot, path[last]!, node, args, final, receiver);
  }

  #fieldValue(
    dot: Value,
    name: ByteString,
    node: Node,
    args: readonly Expression[] | undefined,
    final: Final,
    holder: Value,
  ): Value {
    if (!isValid(holder)) {
      if (this.#missingKey === 'error') this.fail(`nil data; no entry for key ${quote(name)}`);
      return NOTHING;
    }
    const typeName = holder.type.name;
    const {value: receiver, isNil} = indirect(holder);
    if (isNil && receiver.type.kind === 'interface') this.fail(`nil pointer evaluating ${typeName}.${name}`);
    const method = findMethod(receiver, name);
    if (method !== undefined) return this.#callMethod(dot, receiver, method, node, name, args, final);
    const hasArgs = (args !== undefined && args.length > 1) || final !== ABSENT;
    switch (receiver.type.kind) {
      case 'struct': {
        const path = findField(receiver.type, name);
        if (path === undefined) break;
        if (path.unexported) this.fail(`${name} is an unexported field of struct type ${typeName}`);
        const value = this.#structField(receiver, path.indexes);
        if (hasArgs) this.fail(`${name} has arguments but cannot be invoked as function`);
        return value;
      }
      case 'map': {
        if (receiver.type.key !== STRING) break;
        if (hasArgs) this.fail(`${name} is not a method but has arguments`);
        const value = mapIndex(receiver, name);
        if (isValid(value)) return value;
        if (this.#missingKey === 'error') this.fail(`map has no entry for key ${quote(name)}`);
        return this.#missingKey === 'zero' ? zero(receiver.type.elem!) : value;
      }
      case 'pointer': {
        const target = receiver.type.elem!;
        if (target.kind === 'struct' && findField(target, name) === undefined) break;
        if (isNil) this.fail(`nil pointer evaluating ${typeName}.${name}`);
      }
    }
    return this.fail(`can't evaluate field ${name} in type ${typeName}`);
  }

  #structField(struct: Value, indexes: readonly number[]): Value {
    let value = struct;
    for (const i of indexes) {
      if (value.type.kind === 'pointer') {
        if (value.data === null) {
          const name = value.type.elem!.name.replace(/^.*\./, '');
          this.fail(`reflect: indirection through nil pointer to embedded struct field ${name}`);
        }
        value = elem(value);
      }
      value = fieldOf(value, i);
    }
    return value;
  }

  #callMethod(
    dot: Value,
    receiver: Value,
    method: Method,
    node: Node,
    name: ByteString,
    args: readonly Expression[] | undefined,
    final: Final,
  ): Value {
    const call = (values: readonly Value[]) => {
      if (receiver.type.kind === 'pointer' && receiver.data === null) {
        throw new Error('runtime error: invalid memory address or nil pointer dereference');
      }
      return method.call(receiver.type.kind === 'pointer' ? elem(receiver) : receiver, values);
    };
    return this.#call(dot, {...method, call}, false, node, name, args, final);
  }

  #function(
    dot: Value,
    node: IdentifierNode,
    command: Node,
    args: readonly Expression[] | undefined,
    final: Final,
  ): Value {
    this.at(node);
    const own = this.#functions.get(node.name);
    const found = own ?? this.#builtins.get(node.name);
    if (found === undefined) return this.fail(`${quote(node.name)} is not a defined function`);
    return this.#call(dot, found, own === undefined, command, node.name, args, final);
  }

  #call(
    dot: Value,
    callee: TemplateFunction,
    isBuiltin: boolean,
    node: Node,
    name: ByteString,
    allArgs: readonly Expression[] | undefined,
    final: Final,
  ): Value {
    const args = allArgs?.slice(1) ?? [];
    this.#checkCount(callee, name, args.length, final);
    if (isBuiltin && (name === 'and' || name === 'or')) return this.#shortCircuit(dot, name, args, final);

    const {params} = callee;
    const lastParam = params.at(-1);
    const paramAt = (i: number): Type => (callee.variadic ? (params[i] ?? lastParam!) : params[i]!);
    const values = args.map((arg, i) => this.#argument(dot, paramAt(i), arg));
    if (final !== ABSENT) values.push(this.#validate(final, paramAt(values.length)));
    let result: Value;
    try {
      result = isBuiltin && name === 'call' ? callValue(values, args, final) : callee.call(values);
    } catch (error) {
      // A RangeError is JavaScript out of stack or of string length: a limit, not the function's answer.
      if (error instanceof TemplateError || error instanceof RangeError) throw error;
      this.at(node);
      return this.fail(`error calling ${name}: ${(error as Error).message}`, error);
    }
    if (typeof result.data === 'string' && result.data.length > this.#limits.maxOutputBytes) {
      this.failLimit(`a string of more than ${this.#limits.maxOutputBytes} bytes`);
    }
    return result;
  }

  #checkCount(
    {params, variadic, badResults}: Signature,
    name: ByteString,
    count: number,
    final: Final,
  ): void {
    const given = count + (final === ABSENT ? 0 : 1);
    if (variadic && given < params.length - 1) {
      this.fail(`wrong number of args for ${name}: want at least ${params.length - 1} got ${count}`);
    }
    if (!variadic && given !== params.length) {
      this.fail(`wrong number of args for ${name}: want ${params.length} got ${given}`);
    }
    if (badResults !== undefined)
      this.fail(`can't call method/function ${quote(name)} with ${badResults} results`);
  }

  #shortCircuit(dot: Value, name: 'and' | 'or', args: readonly Expression[], final: Final): Value {
    let value = NOTHING;
    for (const arg of args) {
      value = this.#argument(dot, REFLECT_VALUE, arg);
      if (isTrue(indirectInterface(value)) === (name === 'or')) return value;
    }
    return final === ABSENT ? value : final;
  }

  /** The value as the parameter's type, or a failure. Without a type anything goes. */
  #validate(value: Value, type: Type | undefined): Value {
    if (type === undefined || type === REFLECT_VALUE) return value;
    if (!isValid(value))
      return isNilable(type) ? zero(type) : this.fail(`invalid value; expected ${type.name}`);
    if (isAssignable(value.type, type)) return value;
    let given = value;
    if (given.type.kind === 'interface' && given.data !== null) {
      given = elem(given);
      if (isAssignable(given.type, type)) return given;
    }
    if (given.type.kind === 'pointer' && isAssignable(given.type.elem!, type)) {
      const target = elem(given);
      return isValid(target) ? target : this.fail(`dereference of nil pointer of type ${type.name}`);
    }
    if (given.addressable && pointerTo(given.type) === type) return {type, data: {data: given.data}};
    return this.fail(`wrong type for value; expected ${type.name}; got ${given.type.name}`);
  }

  #argument(dot: Value, type: Type | undefined, node: Expression): Value {
    this.at(node);
    switch (node.type) {
      case 'dot':
        return this.#validate(dot, type);
      case 'nil':
        if (type === REFLECT_VALUE) return NOTHING;
        if (type !== undefined && isNilable(type)) return zero(type);
        return this.fail(`cannot assign nil to ${type?.name}`);
      case 'field':
        return this.#validate(this.#field(dot, node, [node], ABSENT), type);
      case 'variable':
        return this.#validate(this.#variable(dot, node, undefined, ABSENT), type);
      case 'pipe':
        return this.#validate(this.pipeline(dot, node), type);
      case 'identifier':
        return this.#validate(this.#function(dot, node, node, undefined, ABSENT), type);
      case 'chain':
        return this.#validate(this.#chain(dot, node, undefined, ABSENT), type);
      default:
        return this.#literal(type, node);
    }
  }

  #literal(type: Type | undefined, node: Extract<Expression, {type: 'bool' | 'number' | 'string'}>): Value {
    const kind = type?.kind ?? 'interface';
    if (kind === 'interface' || kind === 'value') {
      if (node.type === 'number') return this.#constant(node);
      return node.type === 'bool' ? ofBool(node.value) : ofString(node.value);
    }
    const found = nodeSource(node);
    if (kind === 'string') {
      return node.type === 'string'
        ? {type: type!, data: node.value}
        : this.fail(`expected string; found ${found}`);
    }
    if (kind === 'bool') {
      return node.type === 'bool'
        ? {type: type!, data: node.value}
        : this.fail(`expected bool; found ${found}`);
    }
    if (isInteger(kind)) {
      const signed = isSignedInteger(kind);
      const data = node.type === 'number' ? (signed ? node.number.int : node.number.uint) : undefined;
      if (data !== undefined) return {type: type!, data};
      return this.fail(`expected ${signed ? '' : 'unsigned '}integer; found ${found}`);
    }
    if (kind === 'float64') {
      const data = node.type === 'number' ? node.number.float : undefined;
      return data === undefined ? this.fail(`expected float; found ${found}`) : {type: type!, data};
    }
    return this.fail(`can't handle ${found} for arg of type ${type!.name}`);
  }
}

/** A method of the value, or of the pointer to it where one can be had. */
function findMethod(receiver: Value, name: ByteString): Method | undefined {
  const {type} = receiver;
  const owner = type.kind === 'pointer' ? type.elem! : type;
  if (owner.methods !== undefined && Object.hasOwn(owner.methods, name)) return owner.methods[name];
  const pointed = type.kind === 'pointer' || receiver.addressable;
  const table = pointed ? owner.pointerMethods : undefined;
  return table !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}

/** `call`: data from JSON has no functions, so it can only fail. The message names the callee as it was written. */
function callValue(values: readonly Value[], args: readonly Expression[], final: Final): never {
  const callee = indirectInterface(values[0]!);
  if (!isValid(callee)) throw new Error('call of nil');
  const name = args[0] === undefined ? describeFinal(final as Value) : nodeSource(args[0]);
  throw new Error(`non-function ${name} of type ${callee.type.name}`);
}

/** reflect.Value.String: the text of a string, `<T Value>` of the rest. */
const describeFinal = (value: Value): ByteString =>
  value.type.kind === 'string' ? (value.data as ByteString) : `<${value.type.name} Value>`;
