"""The passes that rewrite a program before its memory is planned, in order. Each is a function of a :class:`Draft`."""
from ..ops import settings

PASSES = ()         # (option that turns it off, pass)


def rewrite(draft):
    """Run the passes whose option is on."""
    for option, run in PASSES:
        if getattr(settings, option):
            run(draft)
            draft.sweep()
