from mxlite._core.abi cimport mxl_rng
cdef mxl_rng next_step() noexcept
