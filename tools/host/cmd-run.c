/* SPDX-License-Identifier: MIT */
/* `dlhost [run]` and `dlhost resume`. */
#include "command.h"
#include "execute.h"

static int
run_run (Invocation *inv, GError **error)
{
    return invocation_complete (inv, inv->config_file, error)
               ? execute (&inv->config, invocation_registry (inv), NULL)
               : -1;
}

const Command command_run = {
    .name = "run",
    .operands = "",
    .summary = "trains, evaluates or samples, and leaves a run folder; the name can be left out",
    .details =
        "A plugin's parameters follow its name (--optimizer=adam.so,lr=1e-3; lists in brackets: "
        "betas=[0,0.9]) or are given one by one (--optimizer.lr=1e-3). Options come from the "
        "defaults, then the file of --config, then the command line; the last one wins. Without "
        "--task "
        "a run trains; with a sampler it draws (sample), or estimates log p(x) where the sampler "
        "weighs paths (likelihood). Ctrl-C "
        "finishes the step, writes a checkpoint and says how to go on; a second one stops at "
        "once.",
    .examples = "dlhost --optimizer=kfac.so --model=convnet.so\n"
                "dlhost --optimizer=adam,lr=1e-3 --model=mlp,hidden=[64,64] --dataset=synthetic "
                "--epochs=3\n"
                "dlhost --config=runs/first/config.json --seed=1 --out=runs/second\n",
    .group = GROUP_RUNS,
    .of_run = TRUE,
    .run = run_run,
};

static int
resume_run (Invocation *inv, GError **error)
{
    const char *dir = inv->operands->pdata[0];
    g_autofree char *file = g_build_filename (dir, "config.json", NULL);

    // A run goes on as it began; only how long it is may change.
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++)
        if (inv->config.parts[kind].name || inv->config.out || inv->config.checkpoint ||
            inv->config_file)
            return usage_error (error,
                                "resume goes on with what the run has: it takes no plugin, --out, "
                                "--checkpoint or --config");
    return invocation_complete (inv, file, error)
               ? execute (&inv->config, invocation_registry (inv), dir)
               : -1;
}

const Command command_resume = {
    .name = "resume",
    .operands = "RUN",
    .summary = "goes on with a stopped run, or prolongs a finished one",
    .details =
        "The run ends with the same bytes as one that was never stopped. --epochs and --steps may "
        "be given to make it longer.",
    .min_operands = 1,
    .examples = "dlhost resume runs/first\n"
                "dlhost resume runs/first --epochs=30\n",
    .group = GROUP_RUNS,
    .max_operands = 1,
    .of_run = TRUE,
    .run = resume_run,
};
