"""The passes that rewrite a program before its memory is planned, in order. Each is a function of a :class:`Draft`."""
from ..ops import settings
from .batching import batch_products
from .chains import fuse_chains
from .epilogue import fold_batch_norm, fuse_epilogues
from .norm_epilogue import fuse_norms
from .prepare import prepare_weights

PASSES = (          # (option that turns it off, pass)
    ("unroll", batch_products),
    ("fold", fold_batch_norm),
    ("fuse", fuse_epilogues),
    ("fuse", fuse_norms),
    ("fuse", fuse_chains),
    ("prepare", prepare_weights),
)


CPU_PASSES = (prepare_weights,)     # for the CPU's kernels alone: a device's libraries pack for themselves


def rewrite(draft, on_cpu=True):
    """Run the passes whose option is on, and that the processor has a use for."""
    for option, run in PASSES:
        if getattr(settings, option) and (on_cpu or run not in CPU_PASSES):
            run(draft)
            if draft.gone:
                draft.sweep()
