"""CPU kernels, one module a family. Each exports ``kernels`` (name -> capsule), ``packers`` (name -> dict-to-bytes)
and ``abi``; :func:`lookup` resolves a record's ``cpu = "family.kernel"``."""
from importlib import import_module

_modules = {}


def family(name):
    """The kernel module `name`, checked against this build's ABI."""
    module = _modules.get(name)
    if module is None:
        module = import_module(f"{__name__}.{name}")
        from .._abi_check import ABI
        if module.abi != ABI:
            raise ImportError(f"{module.__name__} was built for another kernel ABI ({module.abi} here {ABI}): rebuild")
        _modules[name] = module
    return module


def lookup(name):
    """(capsule, packer or None) of the kernel ``"family.kernel"``; LookupError where there is none."""
    where, _, kernel = name.partition(".")
    module = family(where)
    if kernel not in module.kernels:
        raise LookupError(f"kernel {name!r} does not exist; {where} has {', '.join(sorted(module.kernels))}")
    return module.kernels[kernel], module.packers.get(kernel)


def check_keys(arguments, *names):
    """KeyError where a packer's `arguments` are not these: Cython's dict to struct takes more without a word."""
    if arguments.keys() != set(names):
        raise KeyError(f"kernel arguments {sorted(arguments)} are not {sorted(names)}")
