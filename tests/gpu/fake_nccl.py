"""CuPy's NCCL for tests: memory is the host's, and what was asked for is written down."""
import ctypes

import numpy as np


class Nccl:
    """Records what it is asked for, and sums by NumPy at the end of a group, as NCCL's members meet there."""

    available = True
    NCCL_FLOAT32, NCCL_FLOAT64, NCCL_FLOAT16, NCCL_INT32, NCCL_INT64, NCCL_SUM = 7, 8, 6, 2, 4, 0

    def __init__(self, xp):
        self.asked, self.open, self.waiting = [], False, []
        outer = self

        class NcclCommunicator:
            def __init__(self, rank):
                self.rank = rank

            @staticmethod
            def initAll(indices):
                return [NcclCommunicator(i) for i in indices]

            def allReduce(self, send, receive, count, dtype, op, stream):
                assert outer.open and op == outer.NCCL_SUM and xp.device_stack[-1] == self.rank
                outer.waiting.append(("sum", self.rank, send, receive, count, dtype, stream))

            def bcast(self, at, count, dtype, root, stream):
                assert outer.open and root == 0
                outer.waiting.append(("bcast", self.rank, at, at, count, dtype, stream))

        self.NcclCommunicator = NcclCommunicator

    def groupStart(self):
        self.open = True

    def groupEnd(self):
        self.open = False
        kinds = {7: np.float32, 8: np.float64, 6: np.float16}

        def array(at, count, dtype):
            size = count * np.dtype(kinds[dtype]).itemsize
            return np.frombuffer((ctypes.c_char * size).from_address(at), kinds[dtype])
        sent = [array(send, count, dtype) for _, _, send, _, count, dtype, _ in self.waiting]
        total = sent[0].copy() if self.waiting[0][0] == "bcast" else sum(sent)
        for _, _, _, receive, count, dtype, _ in self.waiting:
            array(receive, count, dtype)[...] = total
        self.asked.append([(what, rank, count, dtype, stream) for what, rank, _, _, count, dtype, stream
                           in self.waiting])
        self.waiting = []
