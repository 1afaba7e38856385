import type {ByteString} from './byte-string.js';
import type {NumberLiteral} from './number-literal.js';
import {quote} from './quote.js';

/** The parse tree. `pos` is the byte offset in the template text that an error about the node points at. */
export type Node = Statement | Expression | PipeNode | CommandNode;

export type Statement =
  | ListNode
  | TextNode
  | ActionNode
  | BranchNode
  | TemplateNode
  | BreakNode
  | ContinueNode;

/** What can stand for a value in a command. */
export type Expression =
  | BoolNode
  | ChainNode
  | DotNode
  | FieldNode
  | IdentifierNode
  | NilNode
  | NumberNode
  | PipeNode
  | StringNode
  | VariableNode;

export interface ListNode {
  readonly type: 'list';
  readonly pos: number;
  readonly nodes: Statement[];
}
export interface TextNode {
  readonly type: 'text';
  readonly pos: number;
  readonly text: ByteString;
}
export interface ActionNode {
  readonly type: 'action';
  readonly pos: number;
  readonly pipe: PipeNode;
}
export interface BranchNode {
  readonly type: 'if' | 'range' | 'with';
  readonly pos: number;
  readonly pipe: PipeNode;
  readonly list: ListNode;
  readonly elseList: ListNode | undefined;
}
export interface TemplateNode {
  readonly type: 'template';
  readonly pos: number;
  readonly name: ByteString;
  readonly pipe: PipeNode | undefined;
}
export interface BreakNode {
  readonly type: 'break';
  readonly pos: number;
}
export interface ContinueNode {
  readonly type: 'continue';
  readonly pos: number;
}
export interface PipeNode {
  readonly type: 'pipe';
  readonly pos: number;
  /** `$x = …` rather than `$x := …`. */
  isAssign: boolean;
  readonly variables: VariableNode[];
  readonly commands: CommandNode[];
}
export interface CommandNode {
  readonly type: 'command';
  readonly pos: number;
  readonly args: Expression[];
}
export interface BoolNode {
  readonly type: 'bool';
  readonly pos: number;
  readonly value: boolean;
}
/** `(pipeline).X.Y`, or fields of anything that is neither a field nor a variable. */
export interface ChainNode {
  readonly type: 'chain';
  readonly pos: number;
  readonly node: Expression;
  readonly fields: readonly ByteString[];
}
export interface DotNode {
  readonly type: 'dot';
  readonly pos: number;
}
export interface FieldNode {
  readonly type: 'field';
  readonly pos: number;
  readonly path: readonly ByteString[];
}
export interface IdentifierNode {
  readonly type: 'identifier';
  readonly pos: number;
  readonly name: ByteString;
}
export interface NilNode {
  readonly type: 'nil';
  readonly pos: number;
}
export interface NumberNode {
  readonly type: 'number';
  readonly pos: number;
  readonly text: ByteString;
  readonly number: NumberLiteral;
}
export interface StringNode {
  readonly type: 'string';
  readonly pos: number;
  /** As written, quotes included. */
  readonly source: ByteString;
  readonly value: ByteString;
}
/** `$x.Y.Z`: the variable, then the fields. */
export interface VariableNode {
  readonly type: 'variable';
  readonly pos: number;
  readonly path: readonly ByteString[];
}

/** The node's source as Go's errors quote it: normalised, with `{{ }}` whatever the delimiters are. */
export function nodeSource(node: Node): ByteString {
  switch (node.type) {
    case 'list':
      return node.nodes.map(nodeSource).join('');
    case 'text':
      return node.text;
    case 'action':
      return `{{${nodeSource(node.pipe)}}}`;
    case 'if':
    case 'range':
    case 'with': {
      const otherwise = node.elseList === undefined ? '' : `{{else}}${nodeSource(node.elseList)}`;
      return `{{${node.type} ${nodeSource(node.pipe)}}}${nodeSource(node.list)}${otherwise}{{end}}`;
    }
    case 'template':
      return `{{template ${quote(node.name)}${node.pipe === undefined ? '' : ` ${nodeSource(node.pipe)}`}}}`;
    case 'break':
    case 'continue':
      return `{{${node.type}}}`;
    case 'pipe': {
      const variables = node.variables.map(nodeSource).join(', ');
      const declaration = variables === '' ? '' : `${variables} ${node.isAssign ? '=' : ':='} `;
      return declaration + node.commands.map(nodeSource).join(' | ');
    }
    case 'command':
      return node.args.map(operandSource).join(' ');
    case 'bool':
      return String(node.value);
    case 'chain':
      return [operandSource(node.node), ...node.fields].join('.');
    case 'dot':
      return '.';
    case 'field':
      return node.path.map(name => `.${name}`).join('');
    case 'identifier':
      return node.name;
    case 'nil':
      return 'nil';
    case 'number':
      return node.text;
    case 'string':
      return node.source;
    case 'variable':
      return node.path.join('.');
    default:
      return node satisfies never;
  }
}

const operandSource = (node: Expression): ByteString =>
  node.type === 'pipe' ? `(${nodeSource(node)})` : nodeSource(node);
