#!/usr/bin/env python3
"""Writes expectations.jsonl: what Python's csv with strict=True reads from small files. Run it by hand when the cases
change: python3 tests/data/csv/make.py"""

import csv
import io
import itertools
import json
import pathlib
import random

TOKENS = ["x", ",", '"', "\n", "\r", "\\"]
HAND_MADE = [
    'id,name,amount\n1,"Hip by Huey,10\n2,Ann,20\n3,"Eve",30\n4,Zed,40\n',
    'id,name,amount\n1,"He said \\"hi\\" to me",10\n2,"a\\", b",20\n3,plain,30\n',
    "id,note\n1,first\r2,second\n3,third\n",
    'id,name\n1, "Ann"\n2,5" disk\n',
    'a,b\r\n1,"two\r\nlines"\r\n2,"say ""hi"""\r\n',
    'a,b\r1,"two\rlines"\r2,x\r',
    'a\n""\n"\n',
]


def read(text):
    """Each record as [line, lines, fields], the fields null where it breaks the rules. Blank lines are none."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records = []
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return records
        except csv.Error:
            fields = None
        if fields is None or fields:
            records.append([line, reader.line_num - line + 1, fields])


def files():
    yield from HAND_MADE
    for length in range(4):
        for tokens in itertools.product(TOKENS, repeat=length):
            yield "a,b\n" + "".join(tokens)
    dice = random.Random(4180)
    for header in ("a,b\n", "a\n", "a,b\r\n", "a,b\r", ""):
        for _ in range(150):
            yield header + "".join(dice.choices(TOKENS, [6, 3, 3, 3, 1, 1], k=dice.randint(4, 24))) + "\n"


def main():
    with open(pathlib.Path(__file__).with_name("expectations.jsonl"), "w", encoding="ascii") as out:
        for text in files():
            print(json.dumps({"file": text, "records": read(text)}), file=out)


main()
