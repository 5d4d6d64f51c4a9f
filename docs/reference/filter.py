#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns a public header, as people read it, into one that doxygen reads: one comment for several
functions becomes one for each, `@x: text` becomes a parameter, the comments behind members and
before structs become theirs.

usage: doxygen-filter.py HEADER"""
import os
import re
import sys

INSIDE = r"((?:(?!\*/).)*)"  # of one comment
DOC = re.compile(rf"^/\*\*{INSIDE}\*/\n", re.MULTILINE | re.DOTALL)
NAMES = re.compile(r"\s*((?:\w+,\s+)*\w+):(.*)", re.DOTALL)
DECLARED = re.compile(r"^(?:DLH_EXPORT\b[^;]*?|static inline\s[^;{]*?|#define )\b(dlh_\w+|DLH_\w+)[ \n]?"
                      r"(?=[ (])", re.MULTILINE)


def plain(comment):
    """The text of a comment without its frame of stars."""
    return "\n".join(re.sub(r"^ *\* ?", "", line) for line in comment.split("\n")).strip()


def commands(text):
    """gtk-doc's marks as doxygen's."""
    text = re.sub(r"^@(\w+): ?", r"@param \1 ", text, flags=re.MULTILINE)
    text = re.sub(r"\bReturns: ", "@return ", text)
    parts = re.split(r'("[^"\n]*")', text)
    for i, part in enumerate(parts):
        if i % 2:  # quoted: as it stands
            parts[i] = "`" + part.replace("@", "") + "`"
            continue
        part = re.sub(r"@(?!param\b|return\b|file\b)(\w+)", r"`\1`", part)
        parts[i] = re.sub(r"<(\w[\w-]*)>", r"&lt;\1&gt;", part)
    return "".join(parts)


def framed(text, kind="/**"):
    return kind + " " + text.replace("\n", "\n * ") + " */\n"


def collect(header):
    """Documentation by name, and the header without it."""
    docs = {}

    def take(match):
        named = NAMES.match(plain(match.group(1)))
        if not named:
            return match.group(0)
        for name in re.split(r",\s+", named.group(1)):
            docs[name] = commands(named.group(2).strip())
        return ""

    return docs, DOC.sub(take, header)


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        docs, text = collect(file.read().replace("/* SPDX-License-Identifier: MIT */\n", "", 1))
    both = re.MULTILINE | re.DOTALL

    # The comment at the top is the file's, those before types and members and behind them are theirs.
    text = re.sub(rf"\A/\*{INSIDE}\*/\n", lambda m: framed(
        commands(f"@file {os.path.basename(path)}\n{plain(m.group(1))}")), text, flags=re.DOTALL)
    text = re.sub(rf"^/\*{INSIDE}\*/\n(?=typedef|struct)",
                  lambda m: framed(commands(plain(m.group(1)))), text, flags=both)
    text = re.sub(rf"(?<=[;,]) */\*{INSIDE}\*/$",
                  lambda m: " " + framed(commands(plain(m.group(1))), "/**<").rstrip(), text, flags=both)
    text = re.sub(rf"(?<=[^;,\n]) */\* {INSIDE}\*/$",
                  lambda m: " " + framed(commands(plain(m.group(1))), "/**<").rstrip(), text, flags=both)
    text = re.sub(rf"^( +)/\* {INSIDE}\*/\n(?=\1\w)",
                  lambda m: m.group(1) + framed(commands(plain(m.group(2)))), text, flags=both)
    for name, doc in docs.items():
        text = re.sub(rf"^(?=typedef [^;]*\b{name}\b|struct {name}\b)", lambda _, d=doc: framed(d), text,
                      count=1, flags=re.MULTILINE)

    def before(match):
        return (framed(docs[match.group(1)]) if match.group(1) in docs else "") + match.group(0)

    sys.stdout.write(DECLARED.sub(before, text))


main()
