/* SPDX-License-Identifier: MIT */
#include "cpu/dnnl.h"

#ifdef DLH_DNNL

#include <dlfcn.h>

#define LIBRARY "libdnnl.so." G_STRINGIFY (DNNL_VERSION_MAJOR)

static gboolean
dnnl_open (DlhDnnl *d)
{
    void *handle = dlopen (LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (!handle)
        return FALSE;
#define F(name)                                                                                    \
    if (!(*(void **)&d->name = dlsym (handle, "dnnl_" #name)))                                     \
        return FALSE;
    DLH_DNNL_FUNCTIONS (F)
#undef F
    return d->version ()->major == DNNL_VERSION_MAJOR &&
           d->engine_create (&d->engine, dnnl_cpu, 0) == dnnl_success &&
           d->stream_create (&d->stream, d->engine, dnnl_stream_default_flags) == dnnl_success;
}

const DlhDnnl *
dlh_dnnl_get (void)
{
    static DlhDnnl dnnl;
    static gsize state; /* 0 unknown, 1 absent, 2 there */

    if (g_once_init_enter (&state))
        g_once_init_leave (&state, dnnl_open (&dnnl) ? 2 : 1);
    return state == 2 ? &dnnl : NULL;
}

void
dlh_dnnl_version (char *text, gsize n)
{
    const DlhDnnl *d = dlh_dnnl_get ();

    *text = '\0';
    if (d)
        g_snprintf (text, n, "%d.%d.%d", d->version ()->major, d->version ()->minor,
                    d->version ()->patch);
}

#else /* built without oneDNN's header */

void
dlh_dnnl_version (char *text, gsize n)
{
    (void)n;
    *text = '\0';
}

#endif
