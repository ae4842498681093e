/* Which code runs a geometry. ops/conv.py knows the same rules: workspaces depend on them. */
#define FEW(g) ((g)->groups > 1 && (g)->filters / (g)->groups * ((g)->channels / (g)->groups) <= 8)

static void ENG(forward)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    if (sizeof(REAL) == 4 && g->winograd) wino_forward(rt, c, g);
    else if (FEW(g) && ENG(by_tiles)(rt, c, g, 0)) return;
    else if (!FEW(g) && ENG(by_bands)(rt, c, g, 0)) return;
    else ENG(conv_forward)(rt, c, g);
}

/* The weight as forward takes it prepared; what the output has beyond it is 0. */
static void ENG(prepare_weight)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    if (!ENG(prepare_bands)(rt, c, g)) ENG(pack_weight)(rt, c, g);
}

static void ENG(dgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    if (sizeof(REAL) == 4 && g->winograd) wino_dgrad(rt, c, g);
    else if (FEW(g) && ENG(by_tiles)(rt, c, g, 1)) return;
    else if (g->residual) ENG(conv_dgrad)(rt, c, g);
    else if (!FEW(g) && ENG(is_thin)(g)) ENG(thin_dgrad)(rt, c, g);
    else if (FEW(g) || g->channels / g->groups <= 2) ENG(each)(ENG(direct_dgrad), rt, c, g, g->batch * g->channels);
    else if (!FEW(g) && ENG(by_bands)(rt, c, g, 1)) return;
    else ENG(conv_dgrad)(rt, c, g);
}

static void ENG(wgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    if (sizeof(REAL) == 4 && g->winograd) wino_weight_grad(rt, c, g);
    else if (FEW(g) && ENG(by_tiles)(rt, c, g, 2)) return;
    else if (!FEW(g) && ENG(by_bands)(rt, c, g, 2)) return;
    else ENG(conv_wgrad)(rt, c, g);
}
#undef FEW
