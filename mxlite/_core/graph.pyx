# cython: language_level=3
"""Nodes, entries, and the traversals that every pass starts from. Nothing here recurses: chains may be 10^5 long."""


cdef class Node:
    def __init__(self, op, name, dict attrs, p=None, list inputs=None, where=None):
        self.op, self.name, self.attrs, self.p = op, name, attrs, p
        self.inputs = [] if inputs is None else inputs
        self.where = where
        if op is None:
            self.n_out = self.n_visible = 1
        else:
            self.n_out = len(op.output_names(p))
            self.n_visible = op.n_visible(p)

    def __repr__(self):
        return f"<Node {self.name} {'variable' if self.op is None else self.op.name}>"


cpdef list topological(entries):
    """All nodes that `entries` depend on, each after its inputs: depth first, inputs in order, as MXNet lists them."""
    cdef list order = [], stack
    cdef set seen = set()
    cdef Node node, child
    cdef int i
    for head, _ in entries:
        if head in seen:
            continue
        seen.add(head)
        stack = [head]
        at = [0]
        while stack:
            node = <Node>stack[-1]
            i = at[-1]
            if i < len(node.inputs):
                at[-1] = i + 1
                child = <Node>(<tuple>node.inputs[i])[0]
                if child not in seen:
                    seen.add(child)
                    stack.append(child)
                    at.append(0)
            else:
                order.append(node)
                stack.pop()
                at.pop()
    return order


cdef class Indexed:
    def __init__(self, entries):
        self.nodes, self.row_ptr, self.inputs, self.row_of, self.heads = [], [0], [], {}, []
        cdef Node node
        for node in topological(entries):
            self.add(node)
        self.heads = [self.entry(e) for e in entries]

    cpdef int add(self, Node node) except -1:
        """Append `node`, whose inputs are all here already; returns its row."""
        cdef int row = len(self.nodes)
        self.inputs.append([self.entry(e) for e in node.inputs])
        self.nodes.append(node)
        self.row_of[node] = row
        self.row_ptr.append(self.row_ptr[row] + node.n_out)
        return row

    cpdef int entry(self, object e) except -1:
        """Entry id of (node, output index)."""
        return <int>(<list>self.row_ptr)[<int>(<dict>self.row_of)[(<tuple>e)[0]]] + <int>(<tuple>e)[1]

    @property
    def n_entries(self):
        return self.row_ptr[-1]

    def producers(self):
        """Entry id -> (row, output index)."""
        out = []
        for row, node in enumerate(self.nodes):
            for i in range((<Node>node).n_out):
                out.append((row, i))
        return out


def n_aux(Node node):
    """How many of the node's last inputs are auxiliary states."""
    return len(node.op.aux_names(node.p)) if node.op is not None and node.op.aux else 0


def states_of(op, p, inputs):
    """Those of the list `inputs` (labels or entries, one an input) that are auxiliary states."""
    if op.states:
        return op.states(p, inputs)
    return inputs[len(inputs) - len(op.aux_names(p)):] if op.aux else []


cdef set state_variables(nodes):
    """The variables that some of `nodes` take as auxiliary state."""
    cdef Node node
    return {e[0] for node in nodes if node.op is not None and node.op.aux
            for e in states_of(node.op, node.p, node.inputs) if (<Node>e[0]).op is None}


def variables(entries):
    """(argument nodes, auxiliary state nodes) that `entries` depend on, each in traversal order."""
    order = topological(entries)
    aux = state_variables(order)
    args = [n for n in order if (<Node>n).op is None and n not in aux]
    return args, [n for n in order if n in aux]


def substitute(entries, dict replace):
    """Copies of `entries` in which every variable node that is a key of `replace` stands for that entry.

    Nodes that depend on none of them are copied too: the original graph stays untouched whatever becomes of the copy.
    """
    cdef Node node, new
    made = {}
    for node in topological(entries):
        if node.op is None and node in replace:
            continue
        new = Node.__new__(Node)
        new.op, new.name, new.attrs, new.p, new.where = node.op, node.name, dict(node.attrs), node.p, node.where
        new.n_out, new.n_visible = node.n_out, node.n_visible
        new.inputs = [replace[e[0]] if e[0] in replace else (made[e[0]], e[1]) for e in node.inputs]
        made[node] = new
    return [replace[e[0]] if e[0] in replace else (made[e[0]], e[1]) for e in entries]
