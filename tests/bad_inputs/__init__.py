"""Kinds of bad input, each with the error that it gets: (name, code, class, pattern of the message).

The last statement of `code` must raise `class` with a message in which `pattern` (a regular expression) is found; the
statements before it must run. `mx`, `np`, `nd`, `sym`, `pickle`, `struct`, `path` (a file name in an empty folder), `x`
(an array of shape (2, 3)) and `write(path, bytes)` are at hand.
Where an error belongs to a node of a graph its message says ``made at snippet.py:N``, N counting the lines of `code`.
"""
from . import arrays, binding, calls, composing, exchange, files, graphs, operators, recording, training

ALL = [(module.__name__.rpartition(".")[2], module.CASES)
       for module in (graphs, composing, binding, files, arrays, exchange, calls, operators, recording, training)]
