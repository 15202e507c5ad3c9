#!/usr/bin/env python3
"""Compares the CSV modules with Python's csv module: the files of csv-spectrum, and random
nasty ones. The two agree on everything but a lone CR, which is data for us and a line end for
Python; it goes to Python as a character of its own.

usage: check_csv.py CSV_DUMP SPECTRUM_FOLDER [SEED [CASES]]
"""

import csv
import io
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import time

CR = "\ue000"  # stands for a lone CR


def by_python(text, delimiter, quote):
    """The records, and whether the last one is inside quotes when the text ends."""

    def read(t):
        lines = re.findall(r"[^\n]*\n|[^\n]+", re.sub(r"\r(?!\n)", CR, t))
        options = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
        return list(csv.reader(lines, delimiter=delimiter, **options))

    end = "Z" * 40
    is_open = bool(text) and read(text + "\n" + end)[-1] != [end]
    return [[f.replace(CR, "\r") for f in r] for r in read(text)], is_open


def pack(data, delimiter, quote, columns=0, target=0):
    head = struct.pack("<II", columns, target) + delimiter.encode() + (quote or "\0").encode()
    return head + struct.pack("<I", len(data)) + data


def unpack(answer, count):
    """Answers of csv_dump: per case a list of records of bytes."""
    stream = io.BytesIO(answer)

    def u32():
        return struct.unpack("<I", stream.read(4))[0]

    cases = []
    for _ in range(count):
        records = []
        while (fields := u32()) != 0xFFFFFFFF:
            records.append([stream.read(u32()) for _ in range(fields)])
        cases.append(records)
    assert stream.read(1) == b"", "csv_dump said more than it was asked"
    return cases


def dump(program, cases):
    done = subprocess.run([program], input=b"".join(cases), stdout=subprocess.PIPE, check=True)
    return unpack(done.stdout, len(cases))


def check_spectrum(program, folder):
    count = 0
    for path in sorted(pathlib.Path(folder, "csvs").glob("*.csv")):
        want = json.loads(pathlib.Path(folder, "json", path.stem + ".json").read_text("utf-8"))
        rows = want if isinstance(want, list) else [want]
        want = [list(rows[0])] + [list(r.values()) for r in rows]
        if path.stem == "location_coordinates":
            want[1][0] = "2095257564"  # its JSON has another number than its CSV
        for columns in 0, len(want[0]):
            got = dump(program, [pack(path.read_bytes(), ",", '"', columns, 1)])[0]
            got = [[f.decode() for f in r] for r in got]
            if got != want:
                sys.exit(f"{path.name}, {columns} columns: wanted {want}, got {got}")
        count += 1
    assert count == 12, f"{count} files in {folder}"


def noise(rnd, delimiter, quote):
    kind = rnd.random()
    if kind < 0.5:  # any bytes, from nearly only quotes to nearly none
        alphabet = [delimiter, "\n", "\r\n", "\r", "ä", "€"] + ["a", "b", " "] * rnd.randint(1, 9)
        alphabet += [quote or '"'] * rnd.randint(0, 12)
        return "".join(rnd.choices(alphabet, k=rnd.randint(0, rnd.choice([8, 60, 400]))))
    columns, lines = rnd.randint(1, 9), rnd.randint(0, rnd.choice([4, 80]))
    out = []
    for _ in range(lines):  # good rows, with something odd in some of them
        fields = []
        for _ in range(columns if rnd.random() < 0.9 else rnd.randint(1, 9)):
            f = "".join(rnd.choices("abcdefgh ä\n\r,;\"'", k=rnd.choice([0, 1, 3, 5, 17, 40])))
            if quote and rnd.random() < 0.6:
                f = quote + f.replace(quote, quote * 2) + quote
            elif rnd.random() < 0.9:
                f = re.sub("[\"'\n\r;,]", "x", f)
            fields.append(f)
        out.append(delimiter.join(fields) + rnd.choice(["\n", "\n", "\r\n"]))
    text = "".join(out)
    return text if rnd.random() < 0.8 else text.rstrip("\r\n")


def check_noise(program, seed, count):
    rnd = random.Random(seed)
    cases, wants = [], []
    for _ in range(count):
        delimiter, quote = rnd.choice(",,,;\t"), rnd.choice(['"', '"', "'", None])
        text = noise(rnd, delimiter, quote)
        records, is_open = by_python(text, delimiter, quote)
        blank_is_field = [r or [""] for r in records]
        cases.append(pack(text.encode(), delimiter, quote))
        wants.append(blank_is_field)
        columns = len(rnd.choice(blank_is_field)) if records else 1
        whole = records[:-1] if is_open else records
        rows = [r or [""] for r in whole if r or columns == 1]
        cases.append(pack(text.encode(), delimiter, quote, columns, rnd.randint(0, 300)))
        wants.append([r for r in rows if len(r) == columns])
    for case, got, want in zip(cases, dump(program, cases), wants):
        if got != [[f.encode() for f in r] for r in want]:
            sys.exit(f"seed {seed}: {case}\nwanted {want}\ngot    {got}")


def main():
    program, folder = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 1500
    print(f"seed {seed}")
    check_spectrum(program, folder)
    check_noise(program, seed, count)
    print(f"{count} random files agree")


main()
