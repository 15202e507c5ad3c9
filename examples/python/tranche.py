"""tranche - a Python function as an exec transform; one file, no dependencies.

    import tranche

    @tranche.transform
    def clean(rows):
        for row in rows:                      # dicts of texts; None is NULL
            yield {"id": row["id"], "delay": int(row["delay"] or 0) * 2}

Lay this file beside your program and run it with

    tranche run --csv in.csv --exec 'python3 clean.py' --persistent --into sqlite:wh.db --table t

The decorator runs it at once, so it stands last. The function is called once a batch. It gets the batch's rows and returns or yields the rows of
the result: as many as it likes, all with the same keys in the same order. With `format: jsonl`
values have their JSON types; with CSV they are texts. What it raises fails the batch, with its
traceback; the program lives on. `tranche.params` has the job's params. Print to stderr, not to
stdout: that belongs to the result.
"""

import csv
import io
import itertools
import json
import os
import sys
import traceback

params = {k[len("TRANCHE_PARAM_"):]: v for k, v in os.environ.items() if k.startswith("TRANCHE_PARAM_")}


def _fields(line):
    """A line of CSV that holds no quote: NULL is the empty field."""
    return [v or None for v in line.split(",")]


def _quoted_fields(text):
    """Records of any CSV, with None for the unquoted empty field, which csv cannot tell."""
    at, end = 0, len(text)
    while at < end:
        record = []
        while True:
            if text.startswith('"', at):
                parts, at = [], at + 1
                while True:
                    q = text.index('"', at)
                    parts.append(text[at:q])
                    at = q + 1
                    if not text.startswith('"', at):
                        break
                    parts.append('"')
                    at += 1
                record.append("".join(parts))
            else:
                stop = at
                while stop < end and text[stop] not in ",\n":
                    stop += 1
                record.append(text[at:stop] or None)
                at = stop
            if not text.startswith(",", at):
                break
            at += 1
        at += 1
        yield record


def _read_csv(text):
    records = (_fields(x) for x in text[:-1].split("\n")) if '"' not in text else _quoted_fields(text)
    names = next(records)
    return names, (dict(zip(names, r)) for r in records)


def _read_jsonl(text):
    return [], (json.loads(x) for x in text.split("\n") if x)


def _write_csv(rows, names):
    out = io.StringIO()
    w = csv.writer(out, lineterminator="\n")
    w.writerow(names)
    n = 0
    for row in rows:
        if row.keys() != names and list(row) != list(names):
            raise ValueError(f"a row has the keys {list(row)}, the first had {list(names)}")
        values = list(row.values())
        if "" in values:  # csv writes None and "" alike
            w.writerow(["\0" if v == "" else v for v in values])
        elif len(values) == 1 and values[0] is None:
            out.write("\n")
        else:
            w.writerow(values)
        n += 1
    return out.getvalue().replace("\0", '""'), n


def _write_jsonl(rows, names):
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    return "".join(x + "\n" for x in lines), len(lines)


_columns = None  # of the result, once a batch had rows


def _run(function, text, jsonl):
    global _columns
    names, rows = (_read_jsonl if jsonl else _read_csv)(text)
    result = iter(function(rows) or ())
    first = next(result, None)
    if first is not None:
        _columns = list(first)
        result = itertools.chain([first], result)
    return (_write_jsonl if jsonl else _write_csv)(result, _columns or names)


def _persistent(function, jsonl, stdin, stdout):
    while True:
        head = stdin.readline().split()
        if not head:
            return
        text = stdin.read(int(head[1])).decode()
        try:
            body, n = _run(function, text, jsonl)
            data = body.encode()
            head = b"tranche-batch %d %d\n" % (len(data), n)
        except Exception:
            data = traceback.format_exc()[-4000:].encode(errors="replace")
            head = b"tranche-error %d\n" % len(data)
        stdout.write(head + data)
        stdout.flush()


def transform(function):
    """Runs the function on what comes from stdin, when its file is the program."""
    if function.__module__ != "__main__":
        return function
    jsonl = os.environ.get("TRANCHE_FORMAT") == "jsonl"
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a print must not spoil the result
    if os.environ.get("TRANCHE_PERSISTENT") == "1":
        _persistent(function, jsonl, stdin, stdout)
    else:
        body, _ = _run(function, stdin.read().decode(), jsonl)
        stdout.write(body.encode())
        stdout.flush()
    return function
