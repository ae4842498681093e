"""The passes that rewrite a program before its memory is planned, in order. Each is a function of a :class:`Draft`."""
from ..ops import settings
from .batching import batch_products
from .chains import fuse_chains
from .epilogue import fold_batch_norm, fuse_epilogues
from .layout import channels_last
from .norm_epilogue import fuse_norms
from .prepare import keep_casts, prepare_weights

PASSES = (          # (option that turns it off, pass)
    ("unroll", batch_products),
    ("prepare", keep_casts),
    ("fold", fold_batch_norm),
    ("layout", channels_last),
    ("fuse", fuse_epilogues),
    ("fuse", fuse_norms),
    ("fuse", fuse_chains),
    ("prepare", prepare_weights),
)


# Passes for one kind of processor: a device's libraries pack weights for themselves; the CPU's kernels want planes, and
# compute in float32.
ONLY = {prepare_weights: True, channels_last: False, keep_casts: False}     # pass -> on the CPU?


def rewrite(draft, on_cpu=True):
    """Run the passes whose option is on, and that the processor has a use for."""
    draft.on_cpu = on_cpu
    for option, run in PASSES:
        if getattr(settings, option) and ONLY.get(run, on_cpu) == on_cpu:
            run(draft)
            if draft.gone:
                draft.sweep()
