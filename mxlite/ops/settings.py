"""Switches that change how a call is computed, never what it means: read when a call is planned or a program lowered.

``mx.runtime.set_option`` writes them, and says what each of them does; whoever writes them otherwise must also let go
of what was planned before. ``MXLITE_OFF``, a list of names, turns some off from the start.
"""
import os

winograd = True
fuse = True
fold = True
prepare = True
unroll = True
tf32 = False
layout = True
autotune = True

for _name in filter(None, os.environ.get("MXLITE_OFF", "").replace(" ", "").split(",")):
    if not isinstance(globals().get(_name), bool):
        raise ValueError(f"MXLITE_OFF={_name!r} is no option: winograd, fuse, fold, prepare, unroll, tf32, layout and "
                         f"autotune are")
    globals()[_name] = False
