"""Random networks as lines of user code, in which ``s0``, ``s1``, ... are the symbols made so far."""
UNARY = ["exp({})", "relu({})", "sqrt({})", "square({})", "tanh({})", "Flatten({})", "BlockGrad({})", "Dropout({})",
         "Activation({}, act_type='relu')", "Activation({}, act_type='softrelu')", "LeakyReLU({}, act_type='elu')",
         "LeakyReLU({}, act_type='leaky')", "BatchNorm({})", "softmax({})", "LRN({}, nsize=3)", "sum({}, axis=1)",
         "FullyConnected({}, num_hidden=4)", "FullyConnected({}, num_hidden=4, no_bias=True)", "clip({}, 0, 1)",
         "FullyConnected({}, num_hidden=4)", "Convolution({}, kernel=(1, 1), num_filter=2)", "argmax({}, axis=0)",
         "Cast({}, dtype='float32')", "Cast({}, dtype='float16')", "make_loss({})", "mean({})", "transpose({})",
         "SequenceMask({})", "SwapAxis({})", "Embedding({}, input_dim=4, output_dim=3)", "one_hot({}, depth=3)",
         "SliceChannel({}, num_outputs=2)[0]", "SliceChannel({}, num_outputs=2)[1]", "LayerNorm({})", "log2({})"]
BINARY = ["broadcast_add({}, {})", "elemwise_mul({}, {})", "concat({}, {})", "add_n({}, {}, {})", "dot({}, {})",
          "stack({}, {})", "broadcast_mul({}, {})", "broadcast_power({}, {})"]


def program(rng):
    """(lines, heads, options) at random."""
    lines = ["s0 = sym.Variable('a')", "s1 = sym.FullyConnected(s0, num_hidden=4, name='first')", "s2 = sym.exp(s0)"]
    for k in range(3, rng.randint(5, 14)):
        text = rng.choice(UNARY if rng.random() < 0.65 else BINARY)
        args = [f"s{max(0, k - 1 - int(rng.expovariate(0.6)))}" for _ in range(text.count("{}"))]
        lines.append(f"s{k} = sym." + text.format(*args))
    heads = sorted({f"s{len(lines) - 1}", *(f"s{rng.randrange(len(lines))}" for _ in range(rng.randint(0, 2)))})
    options = {"target_dtype": rng.choice(["float16", "float16", "bfloat16"])}
    if options["target_dtype"] == "bfloat16":       # a third dtype does not go with those two, converted or not
        lines = [line.replace("'float16'", "'float32'") for line in lines]
    if rng.random() < 0.3:
        options["excluded_sym_names"] = [rng.choice(["first", "exp0", "relu0", "batchnorm0", "fullyconnected0",
                                                     "concat0", "broadcast_add0"])]
    if rng.random() < 0.3:
        options["data_names"] = ["a"]
        options["cast_optional_params"] = rng.random() < 0.5
    return lines, heads, options
