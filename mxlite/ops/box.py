"""A box copy in numbers: which element goes where, with as few axes as possible. Computed once a bind."""

MAXAXES = 16        # as many as the C struct has room for: a tile of eight axes needs two for each
# Kernels by item size take every dtype.
ALL = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "bfloat16")


def strides(shape):
    """Row-major strides, in elements."""
    out, step = [], 1
    for d in reversed(shape):
        out.append(step)
        step *= d
    return out[::-1]


def box(shape, src, dst, src_offset=0, dst_offset=0):
    """Arguments of the ``movement`` kernels: ``dst[dst_offset + i . dst] = src[src_offset + i . src]`` for every index
    ``i`` of `shape`; strides in elements, negative and zero ones too. Axes that both sides walk evenly are merged."""
    axes = []
    for d, s, t in zip(shape, src, dst):
        if d == 1:
            continue
        if axes and axes[-1][1] == s * d and axes[-1][2] == t * d:
            axes[-1] = (axes[-1][0] * d, s, t)
        else:
            axes.append((d, s, t))
    if len(axes) > MAXAXES:
        raise ValueError(f"a copy over {len(axes)} axes that do not merge; at most {MAXAXES} are supported")
    while len(axes) < 2:                        # the kernel's inner loops are two deep
        axes.insert(0, (1, 0, 0))
    if axes[-1][1] != 1 and axes[-1][2] == 1:   # a transposition: the source's fastest axis goes next to the result's
        fast = [i for i in range(len(axes) - 1) if axes[i][1] == 1]
        if fast:
            axes.insert(-1, axes.pop(fast[0]))
    pad = [0] * (MAXAXES - len(axes))
    return dict(n=len(axes), src_offset=src_offset, dst_offset=dst_offset, shape=[a[0] for a in axes] + pad,
                src=[a[1] for a in axes] + pad, dst=[a[2] for a in axes] + pad)
