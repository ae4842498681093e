"""Numbers in any dtype, for references and samples."""

LOWEST = -2 ** 63        # what an x86 conversion gives for a float that fits no int64


def array_dtype(dtype):
    """NumPy has no bfloat16: references compute it as float32."""
    return "float32" if dtype == "bfloat16" else dtype


def as_value(xp, value, dtype):
    """The double `value` as an array of `dtype`, by way of int64 for integers, so that it wraps round as in C."""
    if dtype in ("uint8", "int8", "int32", "int64"):
        fits = -2.0 ** 63 <= value < 2.0 ** 63
        return xp.asarray(int(value) if fits else LOWEST, dtype="int64").astype(dtype)
    return xp.asarray(value, dtype="float64").astype(dtype)


def returning(dtype, sample):
    """`sample` with the parameter ``dtype``; S takes the word for the dtype of the inputs."""
    sample.params["dtype"] = dtype
    return sample
