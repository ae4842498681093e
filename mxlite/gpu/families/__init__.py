"""Kernels of the GPU by family, under the names and arguments of the CPU's: each module has ``KERNELS``, a dict from
kernel name to rule; see :func:`mxlite.gpu.launch.find`."""
