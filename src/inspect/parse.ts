import type {ByteString} from './byte-string.js';
import {type Delimiters, describeToken, lex, type Token, type TokenType} from './lex.js';
import {
  type ActionNode,
  type BranchNode,
  type CommandNode,
  type Expression,
  type ListNode,
  nodeSource,
  type PipeNode,
  type Statement,
  type TemplateNode,
  type VariableNode,
} from './nodes.js';
import {parseNumberLiteral} from './number-literal.js';
import {quote, unquote} from './quote.js';
import {TemplateError} from './template-error.js';

/** Second stage: tokens to trees, one per `define` and `block` besides the main one. */
export interface ParsedTemplate {
  readonly text: ByteString;
  readonly root: ListNode;
  /** By name; the main template is the one named "" unless the text defines an empty name itself. */
  readonly templates: ReadonlyMap<ByteString, ListNode>;
}

/** Parentheses and blocks within each other; a bound of ours that keeps the parser off the end of the stack. */
const MAX_NESTING = 1000;

/** @throws TemplateError of kind 'parse' with Go's message, or of kind 'limit'. */
export function parse(
  text: ByteString,
  delimiters: Delimiters,
  hasFunction: (name: ByteString) => boolean,
): ParsedTemplate {
  return new Parser(text, delimiters, hasFunction).parse();
}

type EndNode = {readonly type: 'end'; readonly pos: number} | {readonly type: 'else'; readonly pos: number};

const describeEnd = (node: Statement | EndNode): ByteString =>
  node.type === 'end' || node.type === 'else' ? `{{${node.type}}}` : nodeSource(node);

/** Variables and enclosing ranges; a template definition starts with fresh ones. */
interface Scope {
  variables: ByteString[];
  rangeDepth: number;
}
const newScope = (): Scope => ({variables: ['$'], rangeDepth: 0});

class Parser {
  readonly #text: ByteString;
  readonly #tokens: Iterator<Token, void>;
  readonly #hasFunction: (name: ByteString) => boolean;
  readonly #templates = new Map<ByteString, ListNode>();
  /** Tokens that were put back, the next one last. */
  readonly #pending: Token[] = [];
  /** The token read last from the lexer: errors carry its line. */
  #latest: Token = {type: 'eof', pos: 0, text: '', line: 1};
  #scope = newScope();
  /** Line of the delimiter that opened the current action, 0 outside. */
  #actionLine = 0;
  #nesting = 0;

  constructor(text: ByteString, delimiters: Delimiters, hasFunction: (name: ByteString) => boolean) {
    this.#text = text;
    this.#tokens = lex(text, delimiters);
    this.#hasFunction = hasFunction;
  }

  parse(): ParsedTemplate {
    const root: ListNode = {type: 'list', pos: this.#peek().pos, nodes: []};
    while (this.#peek().type !== 'eof') {
      if (this.#peek().type === 'leftDelim') {
        const delimiter = this.#next();
        const word = this.#nextNonSpace();
        if (word.type === 'define') {
          this.#definition();
          continue;
        }
        this.#putBack(word);
        this.#putBack(delimiter);
      }
      const node = this.#textOrAction();
      if (node.type === 'end' || node.type === 'else') this.#fail(`unexpected ${describeEnd(node)}`);
      root.nodes.push(node);
    }
    this.#add('', root);
    return {text: this.#text, root: this.#templates.get('') ?? root, templates: this.#templates};
  }

  #next(): Token {
    const token = this.#pending.pop();
    if (token !== undefined) return token;
    const {value} = this.#tokens.next();
    // After the last token the lexer has nothing more to say: the end stays the end.
    if (value !== undefined) this.#latest = value;
    else this.#latest = {...this.#latest, type: 'eof', text: ''};
    return this.#latest;
  }

  #putBack(token: Token): void {
    this.#pending.push(token);
  }

  #peek(): Token {
    const token = this.#next();
    this.#putBack(token);
    return token;
  }

  #nextNonSpace(): Token {
    let token = this.#next();
    while (token.type === 'space') token = this.#next();
    return token;
  }

  #peekNonSpace(): Token {
    const token = this.#nextNonSpace();
    this.#putBack(token);
    return token;
  }

  #fail(message: string): never {
    const {line} = this.#latest;
    throw new TemplateError('parse', `template: :${line}: ${message}`, {line});
  }

  #unexpected(token: Token, context: string): never {
    if (token.type !== 'error') this.#fail(`unexpected ${describeToken(token)} in ${context}`);
    let where = '';
    if (this.#actionLine !== 0 && this.#actionLine !== token.line) {
      const action = token.text.endsWith(' action') ? '' : ' in action';
      where = `${action} started at :${this.#actionLine}`;
    }
    this.#fail(token.text + where);
  }

  #expect(type: TokenType, context: string): Token {
    const token = this.#nextNonSpace();
    if (token.type !== type) this.#unexpected(token, context);
    return token;
  }

  #nested<T>(parse: () => T): T {
    if (++this.#nesting > MAX_NESTING) {
      throw new TemplateError(
        'limit',
        `template: :${this.#latest.line}: nested deeper than ${MAX_NESTING} levels`,
      );
    }
    const result = parse();
    this.#nesting--;
    return result;
  }

  /** A later definition replaces an earlier one unless it is blank; two that are not blank are an error. */
  #add(name: ByteString, root: ListNode): void {
    const existing = this.#templates.get(name);
    if (existing === undefined || isBlank(existing)) this.#templates.set(name, root);
    else if (!isBlank(root)) this.#fail(`template: multiple definition of template ${quote(name)}`);
  }

  #definition(): void {
    const context = 'define clause';
    const token = this.#nextNonSpace();
    const name = this.#templateName(token, context);
    this.#expect('rightDelim', context);
    this.#add(name, this.#body(context));
  }

  /** The list of a definition, up to its end, in a scope of its own. */
  #body(context: string): ListNode {
    const outer = this.#scope;
    this.#scope = newScope();
    this.#actionLine = 0;
    const {list, end} = this.#itemList();
    if (end.type !== 'end') this.#fail(`unexpected ${describeEnd(end)} in ${context}`);
    this.#scope = outer;
    return list;
  }

  #itemList(): {list: ListNode; end: EndNode} {
    return this.#nested(() => {
      const list: ListNode = {type: 'list', pos: this.#peekNonSpace().pos, nodes: []};
      while (this.#peekNonSpace().type !== 'eof') {
        const node = this.#textOrAction();
        if (node.type === 'end' || node.type === 'else') return {list, end: node};
        list.nodes.push(node);
      }
      return this.#fail('unexpected EOF');
    });
  }

  #textOrAction(): Statement | EndNode {
    const token = this.#nextNonSpace();
    if (token.type === 'text') return {type: 'text', pos: token.pos, text: token.text};
    if (token.type !== 'leftDelim') this.#unexpected(token, 'input');
    this.#actionLine = token.line;
    const node = this.#action();
    this.#actionLine = 0;
    return node;
  }

  #action(): Statement | EndNode {
    const token = this.#nextNonSpace();
    switch (token.type) {
      case 'block':
        return this.#block();
      case 'break':
      case 'continue':
        return this.#loopControl(token, token.type);
      case 'else':
        return this.#else();
      case 'end':
        return {type: 'end', pos: this.#expect('rightDelim', 'end').pos};
      case 'if':
      case 'range':
      case 'with':
        return this.#branch(token.type);
      case 'template':
        return this.#template();
      default: {
        this.#putBack(token);
        const action: ActionNode = {
          type: 'action',
          pos: this.#peek().pos,
          pipe: this.#pipeline('command', 'rightDelim'),
        };
        return action;
      }
    }
  }

  #loopControl(token: Token, type: 'break' | 'continue'): Statement {
    const after = this.#nextNonSpace();
    if (after.type !== 'rightDelim') this.#unexpected(after, `{{${type}}}`);
    if (this.#scope.rangeDepth === 0) this.#fail(`{{${type}}} outside {{range}}`);
    return {type, pos: token.pos};
  }

  #else(): EndNode {
    const token = this.#peekNonSpace();
    // "else if" and "else with" leave their word pending for the branch that may take it.
    if (token.type === 'if' || token.type === 'with') return {type: 'else', pos: token.pos};
    return {type: 'else', pos: this.#expect('rightDelim', 'else').pos};
  }

  #branch(type: BranchNode['type']): BranchNode {
    const outerVariables = this.#scope.variables.length;
    const pipe = this.#pipeline(type, 'rightDelim');
    if (type === 'range') this.#scope.rangeDepth++;
    const {list, end} = this.#itemList();
    if (type === 'range') this.#scope.rangeDepth--;
    const elseList = end.type === 'else' ? this.#elseList(type, end) : undefined;
    this.#scope.variables.length = outerVariables;
    return {type, pos: pipe.pos, pipe, list, elseList};
  }

  /** `{{else if …}}` is `{{else}}{{if …}}` whose end closes both. */
  #elseList(type: BranchNode['type'], start: EndNode): ListNode {
    if (type !== 'range' && this.#peek().type === type) {
      this.#next();
      return {type: 'list', pos: start.pos, nodes: [this.#nested(() => this.#branch(type))]};
    }
    const {list, end} = this.#itemList();
    if (end.type !== 'end') this.#fail(`expected end; found ${describeEnd(end)}`);
    return list;
  }

  #block(): TemplateNode {
    const context = 'block clause';
    const token = this.#nextNonSpace();
    const name = this.#templateName(token, context);
    const pipe = this.#pipeline(context, 'rightDelim');
    this.#add(name, this.#body(context));
    return {type: 'template', pos: token.pos, name, pipe};
  }

  #template(): TemplateNode {
    const context = 'template clause';
    const token = this.#nextNonSpace();
    const name = this.#templateName(token, context);
    const after = this.#nextNonSpace();
    if (after.type === 'rightDelim') return {type: 'template', pos: token.pos, name, pipe: undefined};
    this.#putBack(after);
    return {type: 'template', pos: token.pos, name, pipe: this.#pipeline(context, 'rightDelim')};
  }

  #templateName(token: Token, context: string): ByteString {
    if (token.type !== 'string' && token.type !== 'rawString') this.#unexpected(token, context);
    return this.#unquote(token);
  }

  #unquote(token: Token): ByteString {
    return unquote(token.text) ?? this.#fail('invalid syntax');
  }

  #pipeline(context: string, end: TokenType): PipeNode {
    return this.#nested(() => {
      const pipe: PipeNode = {
        type: 'pipe',
        pos: this.#peekNonSpace().pos,
        isAssign: false,
        variables: [],
        commands: [],
      };
      this.#declarations(pipe, context);
      for (;;) {
        const token = this.#nextNonSpace();
        if (token.type === end) {
          this.#checkPipeline(pipe, context);
          return pipe;
        }
        if (!STARTS_OPERAND.has(token.type)) this.#unexpected(token, context);
        this.#putBack(token);
        pipe.commands.push(this.#command());
      }
    });
  }

  /** `$x :=`, `$x =`, or in a range `$i, $x :=`. A variable that is followed by anything else is an operand. */
  #declarations(pipe: PipeNode, context: string): void {
    while (this.#peekNonSpace().type === 'variable') {
      const variable = this.#next();
      const spaces: Token[] = [];
      let after = this.#next();
      while (after.type === 'space') {
        spaces.push(after);
        after = this.#next();
      }
      const isComma = after.type === 'char' && after.text === ',';
      if (after.type !== 'assign' && after.type !== 'declare' && !isComma) {
        this.#putBack(after);
        for (const space of spaces.reverse()) this.#putBack(space);
        this.#putBack(variable);
        return;
      }
      pipe.variables.push(this.#variable(variable));
      this.#scope.variables.push(variable.text);
      if (!isComma) {
        pipe.isAssign = after.type === 'assign';
        return;
      }
      if (context !== 'range' || pipe.variables.length >= 2)
        this.#fail(`too many declarations in ${context}`);
      const following = this.#peekNonSpace().type;
      if (following !== 'variable' && following !== 'rightDelim' && following !== 'rightParen') {
        this.#fail('range can only initialize variables');
      }
    }
  }

  #checkPipeline(pipe: PipeNode, context: string): void {
    if (pipe.commands.length === 0) this.#fail(`missing value for ${context}`);
    pipe.commands.forEach((command, i) => {
      if (i > 0 && NOT_EXECUTABLE.has(command.args[0]!.type)) {
        this.#fail(`non executable command in pipeline stage ${i + 1}`);
      }
    });
  }

  #command(): CommandNode {
    const command: CommandNode = {type: 'command', pos: this.#peekNonSpace().pos, args: []};
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand !== undefined) command.args.push(operand);
      const token = this.#next();
      if (token.type === 'space') continue;
      if (token.type === 'rightDelim' || token.type === 'rightParen') this.#putBack(token);
      else if (token.type !== 'pipe') this.#unexpected(token, 'operand');
      break;
    }
    if (command.args.length === 0) this.#fail('empty command');
    return command;
  }

  /** A term and the fields that follow it without a space. */
  #operand(): Expression | undefined {
    const node = this.#term();
    if (node === undefined || this.#peek().type !== 'field') return node;
    const {pos} = this.#peek();
    const fields: ByteString[] = [];
    while (this.#peek().type === 'field') fields.push(this.#next().text.slice(1));
    switch (node.type) {
      case 'field':
        return {type: 'field', pos, path: [...node.path, ...fields]};
      case 'variable':
        return {type: 'variable', pos, path: [...node.path, ...fields]};
      case 'bool':
      case 'string':
      case 'number':
      case 'nil':
      case 'dot':
        return this.#fail(`unexpected . after term ${quote(nodeSource(node))}`);
      default:
        return {type: 'chain', pos, node, fields};
    }
  }

  #term(): Expression | undefined {
    const token = this.#nextNonSpace();
    const {pos, text} = token;
    switch (token.type) {
      case 'identifier':
        if (!this.#hasFunction(text)) this.#fail(`function ${quote(text)} not defined`);
        return {type: 'identifier', pos, name: text};
      case 'dot':
        return {type: 'dot', pos};
      case 'nil':
        return {type: 'nil', pos};
      case 'variable':
        if (!this.#scope.variables.includes(text)) this.#fail(`undefined variable ${quote(text)}`);
        return this.#variable(token);
      case 'field':
        return {type: 'field', pos, path: [text.slice(1)]};
      case 'bool':
        return {type: 'bool', pos, value: text === 'true'};
      case 'charConstant':
      case 'complex':
      case 'number':
        try {
          return {type: 'number', pos, text, number: parseNumberLiteral(text, token.type)};
        } catch (error) {
          return this.#fail((error as Error).message);
        }
      case 'leftParen':
        return this.#pipeline('parenthesized pipeline', 'rightParen');
      case 'string':
      case 'rawString':
        return {type: 'string', pos, source: text, value: this.#unquote(token)};
      default:
        this.#putBack(token);
        return undefined;
    }
  }

  #variable(token: Token): VariableNode {
    return {type: 'variable', pos: token.pos, path: [token.text]};
  }
}

const STARTS_OPERAND: ReadonlySet<TokenType> = new Set<TokenType>([
  'bool',
  'charConstant',
  'complex',
  'dot',
  'field',
  'identifier',
  'number',
  'nil',
  'rawString',
  'string',
  'variable',
  'leftParen',
]);
const NOT_EXECUTABLE: ReadonlySet<string> = new Set(['bool', 'dot', 'nil', 'number', 'string']);

/** Whether a definition has nothing but white space in it. */
const isBlank = (list: ListNode): boolean =>
  list.nodes.every(node => node.type === 'text' && /^[\t\n\v\f\r ]*$/.test(node.text));
