"""Looking at arrays while a network trains: a number for every output, argument and auxiliary state."""
import logging
import math
import re

import numpy as np

from . import ndarray as nd

__all__ = ["Monitor"]


def _root_mean_square(array):
    return nd.array(np.array([np.linalg.norm(array.asnumpy().ravel()) / math.sqrt(array.size)], dtype=np.float32))


class Monitor:
    """Every `interval` batches apply `stat_func` (NDArray -> NDArray or a list of them) to the arrays of executors.

    Names are matched from their beginning against the regular expression `pattern`; the default function is
    ``norm(x) / sqrt(x.size)``. `sort` orders results by name; `monitor_all` shows the operators' inputs too.
    Call `tic` before a batch and `toc` or `toc_print` after it, as ``Module.fit(monitor=...)`` does.
    """

    def __init__(self, interval, stat_func=None, pattern=".*", sort=False, monitor_all=False):
        self.interval = interval
        self.stat_func = stat_func or _root_mean_square
        self.re_prog = re.compile(pattern)
        self.sort = sort
        self.monitor_all = monitor_all
        self.activated = False
        self.step = 0
        self.queue = []         # (step, name, what stat_func returned)
        self.exes = []

    def stat_helper(self, name, array):
        """The executor's callback: note down the number for one array."""
        if self.activated:
            self._note(name, array)

    def _note(self, name, array):
        if self.re_prog.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def install(self, exe):
        """Watch executor `exe`."""
        exe.set_monitor_callback(self.stat_helper, self.monitor_all)
        self.exes.append(exe)

    def tic(self):
        """Begin a batch; start collecting if it is this batch's turn."""
        if self.step % self.interval == 0:
            self.queue = []
            self.activated = True
        self.step += 1

    def toc(self):
        """End a batch. A list of (step, name, text of the numbers), empty for a batch that was not watched."""
        if not self.activated:
            return []
        for exe in self.exes:
            for name, array in (*exe.arg_dict.items(), *exe.aux_dict.items()):
                self._note(name, array)
        self.activated = False
        queue, self.queue = self.queue, []
        if self.sort:
            queue.sort(key=lambda row: row[1])
        return [(step, name, "".join(f"{self._text(value)}\t" for value in
                                     (values if isinstance(values, (list, tuple)) else [values])))
                for step, name, values in queue]

    @staticmethod
    def _text(value):
        if isinstance(value, nd.NDArray):
            value = value.asnumpy()
        return str(value.reshape(())[()] if getattr(value, "shape", None) == (1,) else value)

    def toc_print(self):
        """End a batch and log what was collected."""
        for step, name, text in self.toc():
            logging.info("Batch: %7d %-30s %s", step, name, text)
