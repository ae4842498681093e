"""Forward, backward and update as one range of a program: where nothing in it is Python, one CUDA graph, which is
launched once a batch."""
import copy

from .program import Program, Step


class TrainStep:
    """The training program of a bound graph with an update behind it."""

    def __init__(self, bound):
        self.bound, self.own, self.moves, self.extended = bound, None, None, None

    def run(self, moves):
        """Forward, backward, then ``moves.work`` (:class:`~mxlite.gpu.many.ManyWeights`). As long as `moves` and the
        program are the same objects, what was captured is launched."""
        self.moves = moves
        self.bound.train(self._extend)

    def _extend(self, lowered):
        if self.own is not lowered or self.extended.program.keep[-1] is not self.moves:
            self.own, self.extended = lowered, followed_by(lowered, self.moves)
        return self.extended

    @property
    def program(self):
        """The :class:`~mxlite.gpu.program.Program` of the last run; None before."""
        return None if self.extended is None else self.extended.program


def followed_by(lowered, moves):
    """A lowered program with the launches of `moves` as its last step: all else is shared, memory and error words
    too."""
    own, out = lowered.program, copy.copy(lowered)
    steps = [*own.steps, Step(own.rows[-1], "update", moves.work, writes=moves.writes)]
    out.program = Program(own.device, steps, own.boundary, own.once, [*own.keep, moves], own.random, own.error_of,
                          own.errors)
    return out
