# SPDX-License-Identifier: MIT
"""Data files: idx, CIFAR-10 binaries, tables, text. Other formats get their rows here as well."""
import json
import math
import os
import struct

from common import Row, both, gz, idx, write

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def run(text, dataset, code, make, model="mlp,hidden=[2]", **more):
    return Row("data", text, [f"--dataset={dataset}", f"--model={model}", "--optimizer=sgd",
                              "--steps=1", "--threads=1", "--quiet", "--out=run"], code, make, **more)


def mnist(text, images, labels=idx(8, [3], b"\0\1\2"), code=4, name=IMAGES, **more):
    return run(text, "mnist,dir=.,splits=train", code,
               both(write(name, images), write(LABELS, labels)), **more)


GOOD = idx(8, [3, 2, 2], b"\1" * 12)


def cifar(text, content, **more):
    return run(text, "cifar10,dir=.", 4, write("data_batch_1.bin", content), "convnet", **more)


TABLE = {"data.txt": "1 2\n3 5\n4 4\n", "features.txt": "0\n", "target.txt": "1\n",
         "train_0.txt": "0\n1\n", "test_0.txt": "2\n"}


def uci(text, code=4, **files):
    changed = {name.replace("_txt", ".txt"): value for name, value in files.items()}

    def make(directory):
        for name, value in {**TABLE, **changed}.items():
            if value is not None:
                write(name, value)(directory)
    return run(text, "uci,dir=.", code, make)


def text(what, train, valid=None, code=4, level="word", **more):
    makes = [write("train.txt", train)] + ([write("valid.txt", valid)] if valid else [])
    return run(what, f"text,dir=.,train=train.txt,valid={'valid.txt' if valid else ''},test=,"
               f"level={level},seq_len=2,lanes=1", code, both(*makes),
               "lstm,hidden=2,embedding=2", **more)


def tensors(**shapes):
    """A safetensors file of single precision ones."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + struct.pack("<f", 1) * (end // 4)


def decoder(text, names, code=4, file=tensors(w=[4, 2], b=[4], v=[2, 4]), options=None):
    options = "file=w.safetensors,map=names.json" if options is None else options
    return Row("data", text, ["--task=likelihood", "--sampler=ais,temperatures=2,steps=1",
                              f"--model=decoder,{options}", "--dataset=synthetic,n=9,test=3,dims=4",
                              "--task.simulated=0", "--task.examples=1", "--threads=1", "--quiet",
                              "--out=run"], code,
               both(write("w.safetensors", file), write("names.json", names)))


ROWS = [
    *[run(f"{name}: directory that is not there", f"{name},dir=/nonexistent", 4, None, model)
      for name, model in (("mnist", "mlp"), ("fashion-mnist", "mlp"), ("cifar10", "convnet"),
                          ("uci", "mlp"), ("text", "lstm"))],
    run("mnist: no directory given", "mnist", 2, None),
    run("mnist: binary pictures that are to be standardised",
        "mnist,dir=/nonexistent,binarize=dynamic,normalize=standard", 2, None),
    run("mnist: validation set out of no training set", "mnist,dir=/nonexistent,splits=test,valid=9",
        2, None),
    run("mnist: no packed pictures", "mnist,dir=.,binarize=fixed", 4, None),
    run("mnist: half a packed picture", "mnist,dir=.,binarize=fixed", 4,
        write("train.bits", bytes(49))),
    run("mnist: directory that is empty", "mnist,dir=.", 4, None),
    run("mnist: file in place of the directory", "mnist,dir=x", 4, write("x", b"")),
    mnist("idx: empty file", b""),
    mnist("idx: text", "hello, world\n"),
    mnist("idx: wrong magic number", b"\1\2\3\4" + bytes(20)),
    mnist("idx: element type float", idx(13, [3, 2, 2], bytes(48))),
    mnist("idx: no dimensions", bytes([0, 0, 8, 0])),
    mnist("idx: nine dimensions", idx(8, [1] * 9, b"\0")),
    mnist("idx: sizes cut short", idx(8, [3, 2, 2], b"")[:10]),
    mnist("idx: more elements than the file holds", idx(8, [3, 2, 2], bytes(11))),
    mnist("idx: fewer elements than the file holds", idx(8, [3, 2, 2], bytes(13))),
    mnist("idx: 2^96 elements", idx(8, [0xffffffff] * 3, bytes(12))),
    mnist("idx: no examples", idx(8, [0, 2, 2], b""), idx(8, [0], b"")),
    mnist("idx: labels in place of pictures", idx(8, [3], b"\0\1\2")),
    mnist("idx: pictures in place of labels", GOOD, GOOD),
    mnist("idx: other number of labels than of pictures", GOOD, idx(8, [2], b"\0\1")),
    mnist("idx: label outside of the classes", GOOD, idx(8, [3], b"\0\1\x0a")),
    mnist("idx.gz: not gzip behind the magic number", b"\x1f\x8b\x08" + b"junk" * 9,
          name=IMAGES + ".gz"),
    mnist("idx.gz: cut short", gz(GOOD)[:-9], name=IMAGES + ".gz"),
    mnist("idx.gz: wrong checksum", gz(GOOD)[:-8] + b"\0\0\0\0" + gz(GOOD)[-4:],
          name=IMAGES + ".gz"),
    mnist("idx.gz: garbage behind the end", gz(GOOD) + b"garbage", name=IMAGES + ".gz"),
    mnist("idx.gz: a header that promises 4 GB", gz(idx(8, [0xffffff, 2, 128], b"\0")),
          name=IMAGES + ".gz"),
    mnist("idx.gz: many members that decode to more than their header says",
          gz(idx(8, [3, 2, 2], b"\1" * 12)) + gz(bytes(1 << 20)) * 20, name=IMAGES + ".gz"),
    run("mnist: more examples held out than there are", "mnist,dir=.,splits=train,valid=9", 2,
        both(write(IMAGES, GOOD), write(LABELS, idx(8, [3], b"\0\1\2")))),
    cifar("cifar10: empty file", b""),
    cifar("cifar10: no whole number of records", bytes(3072)),
    cifar("cifar10: label outside of the classes", b"\x0a" + bytes(3072)),
    uci("table: no rows", data_txt=""),
    uci("table: only blank lines", data_txt="\n \n\t\n"),
    uci("table: row that is too short", data_txt="1 2\n3\n"),
    uci("table: row that is too long", data_txt="1 2\n3 4 5\n"),
    uci("table: word", data_txt="1 2\n3 x4\n"),
    uci("table: nan", data_txt="1 nan\n3 4\n"),
    uci("table: inf", data_txt="1 inf\n3 4\n"),
    uci("table: 1e400", data_txt="1 1e400\n3 4\n"),
    uci("table: hexadecimal number", data_txt="1 0x10\n3 4\n"),
    uci("table: quotes", data_txt='"1" 2\n3 4\n'),
    uci("table: decimal comma", data_txt="1,5 2\n3 4\n5 5\n"),
    uci("table: empty column", data_txt="1,,2\n"),
    uci("table: comma at the end", data_txt="1,2,\n"),
    uci("table: NUL in a line", data_txt="1 2\0 3\n"),
    uci("table: line of 10 MB", data_txt="7" * 10000000),
    uci("table: CRLF, byte order mark, blank lines, no final newline", 0,
        data_txt=b"\xef\xbb\xbf1 2\r\n\r\n3 5\r\n4 4"),
    uci("table: constant column", 0, data_txt="1 2\n1 5\n1 4\n"),
    uci("uci: row number beyond the table", train_0_txt="0\n9\n"),
    uci("uci: row number that is no whole number", train_0_txt="0\n0.5\n"),
    uci("uci: negative column number", features_txt="-1\n"),
    uci("uci: two target columns", target_txt="0 1\n"),
    uci("uci: no list of training rows", train_0_txt=None),
    uci("uci: empty list of test rows", test_0_txt=""),
    text("text: empty file", b""),
    text("text: fewer words than one row needs", "a\n"),
    text("text: not UTF-8", b"a b c \xff d e f\n"),
    text("text: word that training never saw", "a b c d e\n", "a b c zzz e\n"),
    text("text: NUL among the words", b"a b\0 c d a b c d e\n"),
    text("text: CRLF and no final newline", b"a b c\r\nd e f", code=0),
    run("text: no such file", "text,dir=.,train=none.txt,valid=,test=", 4, None, "lstm"),
    decoder("decoder: no file given", "{}", 2, options="variance=1"),
    decoder("decoder: no map given", "{}", 2, options="file=w.safetensors"),
    decoder("decoder: file that is not there", "{}", options="file=none,map=names.json"),
    decoder("decoder: map that is not there", "{}", options="file=w.safetensors,map=none"),
    decoder("decoder: file that is no safetensors", "{}", file=b"tensors"),
    decoder("decoder: map that is empty", ""),
    decoder("decoder: map that is no JSON", "{"),
    decoder("decoder: map of 500000 brackets", "[" * 500000),
    decoder("decoder: map without a last layer", "{}"),
    decoder("decoder: parameter that there is not", '{"decoder/output/wieght": "w"}'),
    decoder("decoder: parameter twice", '{"decoder/output/weight": "w", "decoder/output/weight": "v"}'),
    decoder("decoder: tensor that there is not", '{"decoder/output/weight": "W"}'),
    decoder("decoder: bias in place of a weight", '{"decoder/output/weight": "b"}'),
    decoder("decoder: weight that is not transposed", '{"decoder/output/weight": "v", '
            '"decoder/output/bias": "b"}'),
    decoder("decoder: layers that do not fit",
            '{"decoder/layer1/weight": "w", "decoder/output/weight": "w"}'),
    decoder("decoder: output that is no example of the data", '{"decoder/output/weight": "v"}', 2),
    run("FIFO in place of a data file", "mnist,dir=.", 4,
        both(write(LABELS, idx(8, [1], b"\0")), lambda d: os.mkfifo(os.path.join(d, IMAGES)))),
    run("pictures given to a model of text", "synthetic,kind=images,n=9,test=0", 2, None, "lstm"),
    run("vectors given to a model of pictures", "synthetic,n=9,test=0", 2, None, "convnet"),
]
