"""Additions and choices at indices that repeat, in what ``ufunc.at`` of NumPy and of CuPy have in common: CuPy has none
of int64 and of integers below 32 bits."""


def add_at(xp, out, at, values):
    """`out` with `values` added at rows `at`. Integers are added in 64 bits, where wrapping at the end is the same as
    wrapping on the way."""
    if out.dtype.kind == "f":
        xp.add.at(out, at, values)
        return out
    wide = out.astype("int64").view("uint64")
    xp.add.at(wide, at, values.astype("int64").view("uint64"))
    return wide.view("int64").astype(out.dtype)


def last_at(xp, n, at):
    """For each of `n` rows the last place of `at` that names it, -1 for a row that none does."""
    last = xp.zeros(n, "uint64")
    xp.maximum.at(last, at, xp.arange(1, at.size + 1, dtype="uint64"))
    return last.astype("int64") - 1
