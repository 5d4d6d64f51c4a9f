/* SPDX-License-Identifier: MIT */
/* Names every public struct that no exported function takes, so that a library of them has their
 * layout in its debugging information and can be compared with the stored one. */
#include <dlhost/dlhost.h>

#define LAYOUT(Struct)                                                                             \
    DLH_EXPORT void layout_##Struct (Struct *object);                                              \
    void layout_##Struct (Struct *object)                                                          \
    {                                                                                              \
        (void)object;                                                                              \
    }

/* What plugins fill. */
LAYOUT (DlhBlock)
LAYOUT (DlhDataset)
LAYOUT (DlhDensity)
LAYOUT (DlhDistributionClass)
LAYOUT (DlhEnvironment)
LAYOUT (DlhLatent)
LAYOUT (DlhManifest)
LAYOUT (DlhModel)
LAYOUT (DlhOp)
LAYOUT (DlhOptimizer)
LAYOUT (DlhOption)
LAYOUT (DlhPlugin)
LAYOUT (DlhSampler)
LAYOUT (DlhSupervised)
LAYOUT (DlhTask)
LAYOUT (DlhTransition)

/* What comes in arrays and attributes. */
LAYOUT (DlhCost)
LAYOUT (DlhLatentPosterior)
LAYOUT (DlhMatmulAttrs)
LAYOUT (DlhPluginReject)
LAYOUT (DlhPosterior)
LAYOUT (DlhRoundedMatmulAttrs)
LAYOUT (DlhSummary)
LAYOUT (DlhUse)

/* Enumerations that are stored in files or in fields of other types. */
LAYOUT (DlhErrorCode)
LAYOUT (DlhOptionFlags)
LAYOUT (DlhOptionType)
LAYOUT (DlhPassWhen)
LAYOUT (DlhPluginKind)
LAYOUT (DlhSampleMode)
