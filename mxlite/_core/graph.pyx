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
        self.aux_rows = aux_rows_of(self)

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


cdef list aux_rows_of(Indexed g):
    cdef Node node
    rows = set()
    for row, node in enumerate(g.nodes):
        if node.op is None or not node.op.aux:
            continue
        k = n_aux(node)
        if k:
            for e in node.inputs[len(node.inputs) - k:]:
                if (<Node>e[0]).op is None:
                    rows.add(g.row_of[e[0]])
    return sorted(rows)


def variables(entries):
    """(argument nodes, auxiliary state nodes) that `entries` depend on, each in traversal order."""
    cdef Node node
    order = topological(entries)
    aux = set()
    for node in order:
        if node.op is not None and node.op.aux:
            k = n_aux(node)
            for e in node.op.states(node.p, node.inputs) if node.op.states else node.inputs[len(node.inputs) - k:]:
                if (<Node>e[0]).op is None:
                    aux.add(e[0])
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
