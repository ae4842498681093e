/* Which code runs a geometry. ops/conv.py knows the same rules: workspaces depend on them. */
#define DIRECT(g) ((g)->groups > 1 && (g)->filters / (g)->groups * ((g)->channels / (g)->groups) <= 8)

static void ENG(forward)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    if (DIRECT(g)) ENG(each)(ENG(direct_forward), rt, c, g, g->batch * g->filters);
    else ENG(conv_forward)(rt, c, g);
}

static void ENG(dgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    if (DIRECT(g)) ENG(each)(ENG(direct_dgrad), rt, c, g, g->batch * g->channels);
    else if (ENG(is_thin)(g)) ENG(thin_dgrad)(rt, c, g);
    else if (g->channels / g->groups <= 2) ENG(each)(ENG(direct_dgrad), rt, c, g, g->batch * g->channels);
    else ENG(conv_dgrad)(rt, c, g);
}

static void ENG(wgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    if (DIRECT(g)) ENG(each)(ENG(direct_wgrad), rt, c, g, g->filters);
    else ENG(conv_wgrad)(rt, c, g);
}
#undef DIRECT
