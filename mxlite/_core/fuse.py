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


def rewrite(draft):
    """Run the passes whose option is on."""
    for option, run in PASSES:
        if getattr(settings, option):
            run(draft)
            if draft.gone:
                draft.sweep()
