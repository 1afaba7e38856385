import {fromBytes, toBytes} from './byte-string.js';
import type {Compat} from './compat.js';
import {DOCKER_FUNCTIONS} from './docker-functions.js';
import type {ObjectKind} from './docker-schema.js';
import {BUILTINS} from './functions.js';
import {elementType, fieldType, type Known, nearestNames, rootOf} from './known-fields.js';
import {
  type CommandNode,
  type Expression,
  type ListNode,
  nodeSource,
  type PipeNode,
  type Statement,
} from './nodes.js';
import {type ParsedTemplate, parse} from './parse.js';
import type {Type} from './types.js';

export interface ExplainOptions {
  readonly delims?: readonly [left: string, right: string];
  readonly compat?: Compat;
}

export interface UnknownField {
  /** As written, up to the name that does not exist: `.State.Statsu`. */
  readonly path: string;
  /** Fields that may have been meant, the best first. */
  readonly nearest: readonly string[];
}

export interface Explanation {
  /** The parse tree, a node a line, with the Go types of fields where they are known. */
  readonly tree: string;
  /** Fields that no object of the kind has. */
  readonly unknown: readonly UnknownField[];
}

/**
 * How a `--format` template is understood, without an object.
 * @param kind whose fields; undefined: the tree alone
 * @throws TemplateError of kind 'parse'
 */
export function explainTemplate(
  template: string,
  kind: ObjectKind | undefined,
  {delims = ['{{', '}}'], compat}: ExplainOptions = {},
): Explanation {
  const [left, right] = delims.map(toBytes) as [string, string];
  const parsed = parse(
    toBytes(template),
    {left, right},
    name => DOCKER_FUNCTIONS.has(name) || BUILTINS.has(name),
  );
  return new Explainer(parsed, kind && rootOf(kind, compat)).explain();
}

type Variables = ReadonlyMap<string, Known>;

class Explainer {
  readonly #parsed: ParsedTemplate;
  readonly #root: Known;
  readonly #lines: string[] = [];
  readonly #unknown = new Map<string, UnknownField>();

  constructor(parsed: ParsedTemplate, root: Known) {
    this.#parsed = parsed;
    this.#root = root;
  }

  explain(): Explanation {
    this.#list(this.#parsed.root, this.#root, new Map([['$', this.#root]]), 0);
    for (const [name, list] of this.#parsed.templates) {
      if (list === this.#parsed.root) continue;
      this.#line(0, `define ${JSON.stringify(name)}`);
      // Whatever calls it decides what its dot is.
      this.#list(list, undefined, new Map([['$', undefined]]), 1);
    }
    return {tree: fromBytes(this.#lines.join('')), unknown: [...this.#unknown.values()]};
  }

  #line(depth: number, text: string): void {
    this.#lines.push(`${'  '.repeat(depth)}${text}\n`);
  }

  #list(list: ListNode, dot: Known, outer: Variables, depth: number): void {
    const variables = new Map(outer);
    for (const node of list.nodes) this.#statement(node, dot, variables, depth);
  }

  #statement(node: Statement, dot: Known, variables: Map<string, Known>, depth: number): void {
    switch (node.type) {
      case 'text':
        this.#line(depth, `text ${JSON.stringify(node.text)}`);
        return;
      case 'action':
        this.#line(depth, `print ${nodeSource(node)}`);
        this.#pipe(node.pipe, dot, variables, depth + 1);
        return;
      case 'if':
      case 'with':
      case 'range': {
        this.#line(depth, `${node.type} ${nodeSource(node.pipe)}`);
        const inner = new Map(variables);
        const type = this.#pipe(node.pipe, dot, inner, depth + 1);
        if (node.type === 'range') this.#rangeVariables(node.pipe, elementType(type), inner);
        const innerDot = node.type === 'if' ? dot : node.type === 'with' ? type : elementType(type);
        this.#line(depth, node.type === 'range' ? 'each' : 'then');
        this.#list(node.list, innerDot, inner, depth + 1);
        if (node.elseList === undefined) return;
        this.#line(depth, 'else');
        this.#list(node.elseList, dot, variables, depth + 1);
        return;
      }
      case 'template':
        this.#line(depth, nodeSource(node).slice(2, -2));
        if (node.pipe !== undefined) this.#pipe(node.pipe, dot, variables, depth + 1);
        return;
      case 'list':
        this.#list(node, dot, variables, depth);
        return;
      default:
        this.#line(depth, node.type);
    }
  }

  #rangeVariables({variables: names}: PipeNode, element: Known, variables: Map<string, Known>): void {
    if (names.length > 0) variables.set(names.at(-1)!.path[0]!, element);
    if (names.length > 1) variables.set(names[0]!.path[0]!, undefined);
  }

  #pipe(pipe: PipeNode, dot: Known, variables: Map<string, Known>, depth: number): Known {
    let type: Known;
    for (const command of pipe.commands) type = this.#command(command, dot, variables, depth);
    // What is piped through a function is of a type that only the function knows.
    if (pipe.commands.length > 1) type = undefined;
    for (const {path} of pipe.variables) variables.set(path[0]!, type);
    return type;
  }

  #command({args}: CommandNode, dot: Known, variables: Map<string, Known>, depth: number): Known {
    const [first, ...rest] = args;
    if (first!.type !== 'identifier') {
      const type = this.#expression(first!, dot, variables, depth);
      for (const arg of rest) this.#expression(arg, dot, variables, depth + 1);
      return type;
    }
    this.#line(depth, `call ${first!.name}`);
    const types = rest.map(arg => this.#expression(arg, dot, variables, depth + 1));
    if (first!.name !== 'index') return undefined;
    return rest.slice(1).reduce<Known>(elementType, types[0]);
  }

  #expression(node: Expression, dot: Known, variables: Map<string, Known>, depth: number): Known {
    switch (node.type) {
      case 'dot':
        this.#line(depth, `dot .${describe(dot)}`);
        return dot;
      case 'field':
        return this.#path(node.path, '', dot, depth, `field ${nodeSource(node)}`);
      case 'variable': {
        const [name, ...path] = node.path;
        return this.#path(path, name!, variables.get(name!), depth, `variable ${nodeSource(node)}`);
      }
      case 'chain': {
        this.#line(depth, `fields .${node.fields.join('.')} of`);
        const holder = this.#expression(node.node, dot, variables, depth + 1);
        return this.#resolve(node.fields, `(${nodeSource(node.node)})`, holder);
      }
      case 'pipe':
        this.#line(depth, 'parentheses');
        return this.#pipe(node, dot, variables, depth + 1);
      case 'identifier':
        this.#line(depth, `call ${node.name}`);
        return undefined;
      default:
        this.#line(depth, `${node.type} ${nodeSource(node)}`);
        return undefined;
    }
  }

  #path(names: readonly string[], prefix: string, holder: Known, depth: number, line: string): Known {
    const type = this.#resolve(names, prefix, holder);
    const unknown = this.#unknown.get(`${prefix}${names.map(name => `.${name}`).join('')}`);
    this.#line(depth, `${line}${describe(type)}${unknown === undefined ? '' : ' (unknown)'}`);
    return type;
  }

  #resolve(names: readonly string[], prefix: string, start: Known): Known {
    const whole = `${prefix}${names.map(name => `.${name}`).join('')}`;
    let holder = start;
    let path = prefix;
    for (const name of names) {
      const next = fieldType(holder, fromBytes(name));
      if (next === 'missing') {
        const nearest = nearestNames(this.#root!, path, holder!, fromBytes(name));
        this.#unknown.set(whole, {path: fromBytes(`${path}.${name}`), nearest});
        return undefined;
      }
      holder = next;
      path += `.${name}`;
    }
    return holder;
  }
}

const describe = (type: Type | undefined): string => (type === undefined ? '' : `: ${type.name}`);
