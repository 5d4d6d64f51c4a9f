# SPDX-License-Identifier: MIT
"""Numbers at the edge: what trains all the same, what is refused, what diverges."""
import json
import math
import os

from common import Row, both, write

BLOBS = "synthetic,n=20,test=10"


def run(text, code, optimizer="sgd", dataset=BLOBS, model="mlp,hidden=[4]", args="--steps=3",
        make=None, **more):
    return Row("numerics", text, [f"--dataset={dataset}", f"--model={model}",
                                  f"--optimizer={optimizer}", "--threads=1", "--quiet", "--out=run",
                                  *args.split()], code, make, **more)


def metrics(directory):
    with open(os.path.join(directory, "run/metrics.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def finite(directory, _out):
    last = metrics(directory)[-1]
    losses = [v for k, v in last.items() if k.endswith("loss")]
    return None if losses and all(v is not None and math.isfinite(v) for v in losses) else str(last)


def unmoved(directory, out):
    """The loss of every record is the first."""
    losses = {r["test/loss"] for r in metrics(directory) if "test/loss" in r}
    return finite(directory, out) or (None if len(losses) == 1 else str(losses))


def table(rows):
    """A regression table whose last column is the target; the last row is for testing."""
    n, d = len(rows), len(rows[0])
    lines = {"data.txt": "\n".join(" ".join(map(str, r)) for r in rows),
             "features.txt": "\n".join(map(str, range(d - 1))), "target.txt": str(d - 1),
             "train_0.txt": "\n".join(map(str, range(n - 1))), "test_0.txt": str(n - 1)}
    return both(*[write(name, value) for name, value in lines.items()])


def uci(text, code, rows, optimizer="sgd", args="--steps=3", more=",standardize=false", **kw):
    return run(text, code, optimizer, f"uci,dir=.{more}", args=args, make=table(rows), **kw)


LINEAR = [[x / 8, x / 4] for x in range(9)]

ROWS = [
    run("batch of 0", 2, args="--batch=0 --steps=1"),
    run("batch of 1", 0, args="--batch=1 --steps=3", check=finite),
    run("batch larger than the data", 0, args="--batch=1000000 --steps=3", check=finite),
    run("last batch of an epoch that is smaller", 0, args="--batch=7 --epochs=2", check=finite),
    run("K-FAC with a last batch of one", 0, "kfac", args="--batch=19 --epochs=2", check=finite),
    run("data set of one example", 0, dataset="synthetic,n=1,test=0"),
    run("data set without examples", 2, dataset="synthetic,n=0"),
    run("data set with one class only", 0, dataset="synthetic,n=20,test=10,classes=1",
        check=finite),
    run("K-FAC on one class: gradients of zero", 0, "kfac",
        dataset="synthetic,n=20,test=10,classes=1", check=unmoved),
    run("Adam on one class: gradients of zero", 0, "adam",
        dataset="synthetic,n=20,test=10,classes=1", check=unmoved),
    uci("features and target that are constant", 0, [[3, 5]] * 9, check=finite, more=""),
    uci("features of zero, K-FAC: factors of rank one", 0, [[0, x] for x in range(9)], "kfac",
        check=finite),
    uci("denormal features", 0, [[x * 1e-310, x] for x in range(9)], check=finite),
    uci("features of 1e30, in float: the loss overflows", 5, [[1e30 * x, x] for x in range(9)],
        args="--steps=50"),
    uci("features of 1e39, beyond the largest float", 4, [[1e39 * (x + 1), x] for x in range(9)]),
    run("learning rate 0", 0, "sgd,lr=0", args="--steps=9 --task.evaluate=3", check=unmoved),
    run("learning rate 0 for K-FAC", 2, "kfac,lr=0"),
    run("learning rate beyond its range", 2, "sgd,lr=1e30"),
    run("learning rate 1e6: the loss is soon no number", 5, "sgd,lr=1e6",
        model="mlp,hidden=[64,64,64]", args="--steps=500", vary=(r"step \d+", r"is -?(nan|inf)", r"at mlp.*")),
    run("damping 0", 2, "kfac,damping=0"),
    run("damping 1e-30: singular factors, recovered from", 0, "kfac,damping=1e-30,kl_clip=0",
        dataset="synthetic,n=20,test=10,dims=30", args="--steps=30 --batch=4", check=finite),
    run("AggMo: equal betas", 0, "aggmo,betas=[0.9,0.9,0.9]", check=finite),
    run("AggMo: one beta", 0, "aggmo,betas=[0.9]", check=finite),
    run("AggMo: betas of 0", 0, "aggmo,betas=[0,0]", check=finite),
    run("AggMo: beta of 1", 2, "aggmo,betas=[0,1]"),
    run("AggMo: beta above 1", 2, "aggmo,betas=[0,1.5]"),
    run("AggMo: K = 1", 0, "aggmo,k=1", check=finite),
    run("AggMo: other number of rates than of betas", 2, "aggmo,betas=[0,0.9],rates=[0.1]"),
    run("Adam: beta2 of 1", 2, "adam,beta2=1"),
    run("Adam: epsilon of 0", 2, "adam,epsilon=0"),
    run("momentum of 1", 2, "sgd,momentum=1"),
    run("dropout of 1", 2, model="mlp,dropout=1"),
    run("huge logits: softmax of +-1e6 stays finite", 0, "sgd,lr=0",
        dataset="synthetic,n=20,test=10,noise=1e6", check=finite),
    run("layer of 1e6 units each on 1e6", 1, model="mlp,hidden=[1000000,1000000]"),
    run("gradient clipped to a norm of 1e-30", 0, args="--steps=3 --task.clip_norm=1e-30",
        check=finite),
    run("warm-up longer than the run", 0, args="--steps=3 --task.warmup=100", check=finite),
    run("convolution larger than the picture", 2, model="convnet,kernel=9",
        dataset="synthetic,kind=images,n=8,test=0,size=4"),
    run("pooling down to nothing", 2, model="convnet,channels=[2,2,2,2]",
        dataset="synthetic,kind=images,n=8,test=0,size=16"),
    run("data set of 1e8 rows of 1e3", 2, dataset="synthetic,n=100000000,dims=1000"),
    run("early stopping without a validation split", 2, args="--steps=3 --task.patience=1"),
    run("early stopping on a metric that is not there", 2,
        args="--epochs=3 --task.patience=1 --task.monitor=test/none"),
    run("evaluation of a split that is not there", 2,
        args="--task=evaluate,split=valid", optimizer="sgd"),
]
