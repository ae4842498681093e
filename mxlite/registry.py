"""Classes found by name: the factories behind ``mx.metric.create("acc")`` and ``mx.init.create("xavier")``."""
import json
import warnings

__all__ = ["get_registry", "get_register_func", "get_alias_func", "get_create_func"]

_TABLES = {}        # base class -> {lower-case name: class}


def _table(base_class):
    return _TABLES.setdefault(base_class, {})


def get_registry(base_class):
    """A copy of the table of `base_class`: lower-case name -> class."""
    return dict(_table(base_class))


def get_register_func(base_class, nickname):
    """A decorator ``register(klass, name=None)`` that enters a subclass of `base_class` under its lower-case name."""
    table = _table(base_class)

    def register(klass, name=None):
        if not issubclass(klass, base_class):
            raise AssertionError(f"Can only register subclass of {base_class.__name__}")
        key = (name or klass.__name__).lower()
        if table.get(key, klass) is not klass:
            warnings.warn(f"{nickname} {key!r}: {klass.__module__}.{klass.__name__} replaces "
                          f"{table[key].__module__}.{table[key].__name__}", UserWarning, stacklevel=2)
        table[key] = klass
        return klass

    register.__doc__ = f"Enter a class into the table of {nickname}s, under `name` or its own lower-case name."
    return register


def get_alias_func(base_class, nickname):
    """A decorator factory ``alias("a", "b")`` that enters the class under further names."""
    register = get_register_func(base_class, nickname)

    def alias(*aliases):
        def enter(klass):
            for name in aliases:
                register(klass, name)
            return klass
        return enter

    return alias


def get_create_func(base_class, nickname):
    """``create(name, *args, **kwargs)``: an instance from a name, from JSON text (``'["xavier", {}]'`` or
    ``'{"metric": ...}'``), or from a dict; an instance comes back as it is. Unknown names raise AssertionError."""
    table = _table(base_class)

    def create(*args, **kwargs):
        name, args = (args[0], args[1:]) if args else (kwargs.pop(nickname), ())
        plain = not args and not kwargs
        if isinstance(name, base_class):
            if not plain:
                raise AssertionError(f"{nickname} is already an instance. Additional arguments are invalid")
            return name
        if isinstance(name, dict):
            return create(**name)
        if not isinstance(name, str):
            raise AssertionError(f"{nickname} must be of string type, not {type(name).__name__}")
        if name[:1] in ("[", "{"):
            if not plain:
                raise AssertionError(f"{nickname} given as JSON takes no further arguments")
            value = json.loads(name)
            return create(**value) if isinstance(value, dict) else create(value[0], **value[1])
        if name.lower() not in table:
            raise AssertionError(f"{name.lower()} is not registered. Please register with {nickname}.register first; "
                                 f"known are {', '.join(sorted(table))}")
        return table[name.lower()](*args, **kwargs)

    create.__doc__ = (f"A {base_class.__name__} from its name, JSON text or a dict; an instance comes back as it is. "
                      "Raises AssertionError for an unknown name.")
    return create
