/** A node of the library's syntax tree, whose classes it does not export. */
export type Node = Readonly<Record<string, unknown>> & { readonly type: string };

export function isNode(value: unknown): value is Node {
  return (
    typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
  );
}

/** Returns a child of a node; throws if the tree is not as expected. */
export function child(node: Node, name: string): Node {
  const value = node[name];
  if (isNode(value)) return value;
  throw new SyntaxError(`a ${node.type} without ${name} cannot be read`);
}

export function optionalChild(node: Node, name: string): Node | undefined {
  const value = node[name];
  return isNode(value) ? value : undefined;
}

export function children(node: Node, name: string): readonly Node[] {
  const list: unknown = node[name] ?? [];
  if (Array.isArray(list) && list.every(isNode)) return list;
  throw new SyntaxError(`a ${node.type} with a malformed ${name} cannot be read`);
}

/** Returns the text that a node holds: an identifier's name or a literal's characters. */
export function textIn(node: Node, name = 'value'): string {
  const value = node[name];
  if (typeof value === 'string') return value;
  throw new SyntaxError(`a ${node.type} without a text in ${name} cannot be read`);
}

/** Returns the operator of an expression. */
export function operatorOf(node: Node): string {
  return textIn(child(node, 'operator'));
}

/** Returns the names of all identifiers below some nodes. */
export function identifiersIn(nodes: readonly Node[]): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (value instanceof Map) visit([...value].flat());
    else if (isNode(value)) {
      if (value.type === 'Identifier') names.add(textIn(value));
      visit(Object.values(value));
    }
  };
  visit(nodes);
  return names;
}
