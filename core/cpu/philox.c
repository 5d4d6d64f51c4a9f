/* SPDX-License-Identifier: MIT */
/* Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). */
#include <dlhost/random.h>

void
dlh_philox (const guint32 counter[4], const guint32 key[2], guint32 out[4])
{
    guint32 c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    guint32 k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        guint64 a = (guint64) 0xD2511F53u * c0, b = (guint64) 0xCD9E8D57u * c2;

        c0 = (guint32) (b >> 32) ^ c1 ^ k0;
        c1 = (guint32) b;
        c2 = (guint32) (a >> 32) ^ c3 ^ k1;
        c3 = (guint32) a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

// A finaliser with good avalanche, so that near seeds and names give unrelated keys.
static guint64
mix (guint64 h)
{
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

void
dlh_philox_key (guint64 seed, const char *name, guint32 key[2])
{
    guint64 h = 0xcbf29ce484222325u;

    for (const char *c = name; *c; c++)
        h = (h ^ (guint8) *c) * 0x100000001b3u;
    h = mix (h ^ mix (seed + 0x9e3779b97f4a7c15u));
    key[0] = (guint32) h;
    key[1] = (guint32) (h >> 32);
}
