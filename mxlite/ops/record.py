"""One operator, one record.

A subclass of :class:`Op` *is* the operator: its attributes are all that the rest of mxlite knows of it. Names,
signatures, shape and type inference, gradient, memory planning, JSON and tests ask the record, and nothing else keeps a
list of operators. Functions in a record take no ``self``: they are rules, not methods.

====================  =====================================================================================
field                 says
====================  =====================================================================================
``inputs``            names of the inputs, ``"data weight bias"``; a function of the parameters where they
                      vary; ``"*args"`` for any number
``aux``               names of auxiliary states: trailing inputs that the kernel may write
``aux_init``          auxiliary state or input -> JSON text of the initialiser that its variable is given
``states``            ``(p, inputs) -> list``: those of the inputs that are auxiliary states, where `inputs` is
                      ``"*args"`` and `aux` names all of them
``outputs``           names of all outputs, hidden ones too (they carry state from forward to backward)
``visible``           how many outputs a user sees (default all); may be a function of the parameters
``mxnet_outputs``     how many outputs MXNet 1.9.1 counts in ``node_row_ptr`` (default: as many as there are)
``optional``          visible outputs that the kernel leaves out where nobody reads them, as it does hidden ones
``params``            name -> :class:`Param`, in MXNet's order, which is the order of positional arguments
``aliases``           further public names
``hint``              stem of automatic names, where it is not the lower-case name
``infer``             ``(p, ins, outs) -> (ins, outs)``: shapes; None is unknown, so is a None dimension
``infer_dtype``       ``(p, ins, outs) -> (ins, outs)``: dtype names; None is unknown
``ref``               ``(xp, p, *inputs) -> output or tuple``: the truth in NumPy/CuPy terms. Takes ``is_train=``
                      where ``train_aware`` and ``rng=`` where ``random``; writes auxiliary states in place
``cpu``               name of the C kernel, ``"family.kernel"``; may be a function of the parameters (None: ``ref``)
``cpu_dtypes``        dtypes the kernel covers (of its first input); other dtypes run ``ref``
``gpu``               the same on a GPU, where that is not the name in ``cpu`` (mxlite/gpu/families has the rules)
``launch``            ``(p, ins, outs) -> dict``: named C arguments from shapes, computed once a bind
``dynamic``           float parameters that the kernel reads from ``call.scalars``: they change no shape and are
                      not part of an imperative call's cache key
``workspace``         ``(p, ins, outs, itemsize, threads) -> bytes`` of scratch
``inplace``           ``{output: input}`` or ``{output: (inputs)}``: which memory an output may take over
``view``              ``{output: input}``: the output is the input's bytes under another shape
``grad``              ``(F, n, *dys) -> entry, None, or a tuple of them``, one per input
``moves_late``        forward only reads the auxiliary states: they move in backward
``loss``              the declared gradient is no derivative and ignores head gradients
``random``            draws random numbers
``train_aware``       behaves differently while training
``samples``           :class:`S` rows that become tests
``kinks``             values of the inputs at which the function has no derivative
====================  =====================================================================================
"""
REGISTRY = {}       # every public name and alias -> record
RECORDS = {}        # canonical name -> record
REQUIRED = object()


def near(name, names, most=1):
    """The `most` nearest of `names`, for "did you mean"."""
    import difflib  # 20 ms that only somebody who mistyped pays
    return difflib.get_close_matches(str(name), [str(n) for n in names], most)


class Param:
    """One parameter: its type, default, help, and what values are allowed."""

    __slots__ = ("type", "default", "help", "choices", "low", "high")

    def __init__(self, type, default=REQUIRED, help="", choices=None, low=None, high=None):
        self.type, self.default, self.help = type, default, help
        self.choices, self.low, self.high = choices, low, high

    def parse(self, op, name, value):
        """`value` (a Python value or MXNet's text for one) as this parameter's type, or a ValueError saying why not."""
        try:
            value = self.type(value)
        except Exception as e:              # int(inf) overflows, literal_eval runs out of stack, __int__ is anything
            raise ValueError(f"{op}: {name}={brief(value)}: {cut(str(e))}") from None
        if self.choices is not None and value is not None and value not in self.choices:
            close = near(value, self.choices)
            raise ValueError(f"{op}: {name}={brief(value)} is not one of {', '.join(map(repr, self.choices))}"
                             + (f"; did you mean {close[0]!r}?" if close else ""))
        # Asked for what is allowed, not for what is not: NaN is neither below nor above.
        if value is not None and not ((self.low is None or value >= self.low)
                                      and (self.high is None or value <= self.high)):
            low = "-inf" if self.low is None else self.low
            high = "inf" if self.high is None else self.high
            raise ValueError(f"{op}: {name}={brief(value)} is out of range [{low}, {high}]")
        return value


def brief(value):
    """`value` as text for a message, cut where it is long."""
    try:
        text = repr(value)
    except Exception as e:                  # an int of 5000 digits has no text
        text = f"<{type(value).__name__}: {e}>"
    return cut(text)


def cut(text, most=100):
    return text if len(text) <= most else text[:most - 3] + "..."


class S:
    """One sample call: input shapes, then parameters. `low`/`high` bound the random values drawn for the inputs,
    `index={i: n}` draws integers in [0, n) for input i, `dtype` is the inputs' dtype."""

    __slots__ = ("shapes", "params", "low", "high", "index", "dtype")

    def __init__(self, *shapes, low=-1.0, high=1.0, index=None, dtype="float32", **params):
        self.shapes, self.params = shapes, params
        self.low, self.high, self.index, self.dtype = low, high, index or {}, dtype

    def __repr__(self):
        return ", ".join([*map(str, self.shapes), *(f"{k}={v}" for k, v in self.params.items())])


class Params:
    """A frozen, hashable set of parsed parameters; one subclass an operator, with that operator's slots."""

    __slots__ = ()

    def __eq__(self, other):
        return type(self) is type(other) and all(getattr(self, k) == getattr(other, k) for k in self.__slots__)

    def __hash__(self):
        return hash(tuple(getattr(self, k) for k in self.__slots__))

    def __repr__(self):
        return ", ".join(f"{k}={getattr(self, k)!r}" for k in self.__slots__)

    def replace(self, **changes):
        new = type(self)()
        for k in self.__slots__:
            setattr(new, k, changes.get(k, getattr(self, k)))
        return new


def names(field, p=None):
    """The list of names that a record's `inputs`, `aux` or `outputs` stands for, given parameters `p`."""
    if callable(field):
        field = field(p)
    return field.split() if isinstance(field, str) else list(field)


def same_shape(p, ins, outs):
    """All inputs and outputs have one shape; what any of them knows, all know."""
    shape = None
    for s in (*ins, *outs):
        shape = unify(shape, s)
    return [shape] * len(ins), [shape] * len(outs)


def unify(a, b):
    """The shape that agrees with both partial shapes; ValueError where they contradict each other."""
    if a is None or a is b:
        return b
    if b is None:
        return a
    if len(a) != len(b):
        raise ValueError(f"shapes {show(a)} and {show(b)} differ in their number of axes")
    out = []
    for x, y in zip(a, b):
        if x is not None and y is not None and x != y:
            raise ValueError(f"shapes {show(a)} and {show(b)} do not agree")
        out.append(y if x is None else x)
    return tuple(out)


def show(shape):
    """A partial shape as text: unknown dimensions as ``?``."""
    if shape is None:
        return "unknown"
    return "(" + ", ".join("?" if d is None else str(d) for d in shape) + ("," if len(shape) == 1 else "") + ")"


def same_dtype(p, ins, outs):
    """All inputs and outputs have one dtype."""
    dtype = next((d for d in (*ins, *outs) if d is not None), None)
    return [dtype] * len(ins), [dtype] * len(outs)


class Op:
    """Base of all records; see the module's table. A typo in a field name is an error at import."""

    name = None
    inputs = "data"
    aux = ""
    aux_init = {}
    states = None           # (p, inputs) -> those that are auxiliary states, where `aux` names all inputs of a variadic
    outputs = "output"
    visible = None
    mxnet_outputs = None
    optional = ()
    params = {}
    aliases = ""
    hint = None
    infer = same_shape
    infer_dtype = same_dtype
    ref = cpu = gpu = launch = workspace = grad = None
    cpu_dtypes = ("float32", "float64")
    dynamic = ""
    inplace = {}
    view = {}
    loss = random = train_aware = moves_late = False
    samples = ()
    kinks = ()
    P = None                # made here: the parameters' class
    variadic = False        # made here: `inputs` is "*name"

    def __init_subclass__(cls, registered=True):
        for k in vars(cls):
            if k not in FIELDS:
                close = near(k, FIELDS)
                raise TypeError(f"record {cls.__name__}: unknown field {k!r}"
                                + (f", did you mean {close[0]!r}?" if close else ""))
        if not cls.__doc__:
            raise TypeError(f"record {cls.__name__}: an operator needs a docstring")
        if cls.ref is None:
            raise TypeError(f"record {cls.__name__}: an operator needs a reference (`ref`)")
        if cls.name is None:
            cls.name = cls.__name__
        for field in RULES:
            rule = cls.__dict__.get(field)
            if callable(rule) and not isinstance(rule, staticmethod):
                setattr(cls, field, staticmethod(rule))
        cls.variadic = isinstance(cls.inputs, str) and cls.inputs.startswith("*")
        cls.dynamic = tuple(names(cls.dynamic))
        cls.P = type(cls.name + "Params", (Params,), {"__slots__": tuple(cls.params)})
        if not registered:
            return
        aliases = (cls.name, *cls.aliases.split())
        for i, alias in enumerate(aliases):         # all of them, before any is entered
            if alias in aliases[:i]:
                raise TypeError(f"record {cls.__name__}: the name {alias!r} is there twice")
            if alias in REGISTRY:
                raise TypeError(f"record {cls.__name__}: the name {alias!r} belongs to the record "
                                f"{REGISTRY[alias].__name__} of {REGISTRY[alias]._place()}. A record cannot be defined "
                                f"anew: choose another name, or start Python (in a notebook, its kernel) again")
        for alias in aliases:
            REGISTRY[alias] = cls
        RECORDS[cls.name] = cls

    @classmethod
    def _place(cls):
        """Where the record is defined, ``file:line`` if its reference is a function of Python."""
        code = getattr(cls.ref, "__code__", None)
        return f"module {cls.__module__}" if code is None else f"{code.co_filename}:{code.co_firstlineno}"

    @classmethod
    def parse(cls, values):
        """The frozen parameters for `values` (name -> Python value or text). ValueError for an unknown name, a
        missing one, or a value that does not fit."""
        p = cls.P()
        params = cls.params
        for k in values:
            if k not in params:
                close = near(k, params)
                raise ValueError(f"{cls.name}: unknown parameter {k!r}"
                                 + (f", did you mean {close[0]!r}?" if close else
                                    f"; it takes {', '.join(params) or 'none'}"))
        for k, param in params.items():
            if k in values:
                setattr(p, k, param.parse(cls.name, k, values[k]))
            elif param.default is REQUIRED:
                raise ValueError(f"{cls.name}: parameter {k!r} is required")
            else:
                setattr(p, k, param.default)
        return p

    @classmethod
    def input_names(cls, p, n=None):
        """Names of the inputs without auxiliary states; `n` is how many there are where the record takes any number."""
        if cls.variadic:
            return [f"arg{i}" for i in range(n or 0)]
        return names(cls.inputs, p)

    @classmethod
    def aux_names(cls, p):
        return names(cls.aux, p)

    @classmethod
    def output_names(cls, p):
        """Names of all outputs, hidden ones last."""
        return names(cls.outputs, p)

    @classmethod
    def n_visible(cls, p):
        if cls.visible is None:
            return len(names(cls.outputs, p))
        return cls.visible(p) if callable(cls.visible) else cls.visible

    @classmethod
    def n_mxnet_outputs(cls, p):
        if cls.mxnet_outputs is None:
            return len(names(cls.outputs, p))
        return cls.mxnet_outputs(p) if callable(cls.mxnet_outputs) else cls.mxnet_outputs


FIELDS = {k for k in vars(Op) if not k.startswith("_")} | {
    "__module__", "__qualname__", "__doc__", "__firstlineno__", "__static_attributes__"}
# Fields that may be rules (functions without self).
RULES = ("inputs", "aux", "outputs", "visible", "mxnet_outputs", "infer", "infer_dtype", "ref", "cpu", "gpu",
         "launch", "workspace", "grad", "inplace", "view")
for _field in RULES:
    if callable(vars(Op).get(_field)):
        setattr(Op, _field, staticmethod(vars(Op)[_field]))


def find(name):
    """The record of that name or alias. AttributeError, with near names, where there is none."""
    try:
        return REGISTRY[name]
    except KeyError:
        # Names with an underscore in front are internal: suggested only to who asks for one.
        close = near(name, [n for n in REGISTRY if n.startswith("_") == str(name).startswith("_")], 3)
        raise AttributeError(f"there is no operator {name!r}"
                             + (f"; did you mean {' or '.join(close)}?" if close else "")) from None
