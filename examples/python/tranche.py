"""tranche - Python functions as transforms; one file, no dependencies.

As a program that a job names, one function for whole batches:

    import tranche

    @tranche.transform
    def clean(rows):
        for row in rows:                      # dicts of texts; None is NULL
            yield {"id": row["id"], "delay": int(row["delay"] or 0) * 2}

    tranche run --csv in.csv --exec 'python3 clean.py' --exec-file tranche.py --persistent --into sqlite:wh.db --table t

From a script, in place of a loop or of joblib.Parallel:

    if __name__ == "__main__":
        for y in tranche.map(f, range(1000), jobs=2): ...
        for row in tranche.map(g, csv="in-*.csv"): ...
        tranche.map(g, csv="in-*.csv", into="sqlite:wh.db", table="t")

The decorator runs the function at once, so it stands last. The function is called once a batch. It gets the batch's rows
and returns or yields the rows of the result: as many as it likes, all with the same keys in the same order. With
`format: jsonl` values have their JSON types; with CSV they are texts. What it raises fails the batch, with the
line that raised it; the program lives on. `tranche.params` has the job's params. Print to stderr, not to stdout: that belongs to
the result. docs/PYTHON.md has more.
"""

import csv
import hashlib
import importlib
import importlib.util
import inspect
import io
import itertools
import json
import os
import pickle
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import types

params = {k[len("TRANCHE_PARAM_"):]: v for k, v in os.environ.items() if k.startswith("TRANCHE_PARAM_")}


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
    if '"' in text:
        records = _quoted_fields(text)
    elif ",," in text or ",\n" in text or "\n," in text or "\n\n" in text:  # NULL is the empty field
        records = ([v or None for v in x.split(",")] for x in text[:-1].split("\n"))
    else:
        records = (x.split(",") for x in text[:-1].split("\n"))
    names = next(records)
    return names, (dict(zip(names, r)) for r in records)


def _read_jsonl(text):
    return [], (json.loads(x) for x in text.split("\n") if x)


def _values(rows, keys, empties):
    for row in rows:
        if list(row) != keys:
            raise ValueError(f"a row has the keys {list(row)}, the first had {keys}")
        values = list(row.values())
        if "" in values:  # csv writes None and "" alike
            empties.append(values.count(""))
            yield ["\0" if v == "" else v for v in values]
        else:
            yield values


def _write_csv(rows, names):
    out, counted, empties = io.StringIO(), itertools.count(), []
    w = csv.writer(out, lineterminator="\n")
    w.writerow(names)
    values = (v for v, _ in zip(_values(rows, list(names), empties), counted))
    if len(names) > 1:
        w.writerows(values)
    else:
        for v in values:
            if v[0] is None:
                out.write("\n")
            else:
                w.writerow(v)
    text, empty = out.getvalue(), sum(empties)
    if empty and text.count("\0") != empty:
        raise ValueError("a value has a zero byte beside empty texts, which this CSV cannot say; take format: jsonl")
    return text.replace("\0", '""') if empty else text, next(counted)


def _write_jsonl(rows, names):
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    return "".join(x + "\n" for x in lines), len(lines)


_LIBRARY = re.compile(r"/lib(64)?/python|/(site|dist)-packages/|^<frozen ")
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


def _why(error):
    """FILE:LINE: EXCEPTION, of the innermost frame that is no library's: the row's reason."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    own = [f for f in frames if not _LIBRARY.search(f.filename)] or frames
    lines = traceback.format_exception_only(type(error), error)
    text = lines[-1] if isinstance(error, SyntaxError) else "".join(lines)
    text = text.strip()[:300].replace("\n", " ")
    return f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}: {text}" if own else text


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
        except Exception as error:
            data = _why(error).encode(errors="replace")
            head = b"tranche-error %d\n" % len(data)
        stdout.write(head + data)
        stdout.flush()


def _serve(function):
    jsonl = os.environ.get("TRANCHE_FORMAT") == "jsonl"
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a print must not spoil the result
    if os.environ.get("TRANCHE_PERSISTENT") == "1":
        _persistent(function, jsonl, stdin, stdout)
    else:
        body, _ = _run(function, stdin.read().decode(), jsonl)
        stdout.write(body.encode())
        stdout.flush()


def transform(function):
    """Runs the function on what comes from stdin, when its file is the program."""
    if function.__module__ == "__main__":
        _serve(function)
    return function


# ---- from a script ----


class Error(RuntimeError):
    """A run that failed; its text is what tranche said. With bad_rows, in place of a result: an item that was rejected."""

    index = None  # of the item, from 0
    item = None


def _rejected(text):
    """(where, why) of each rejected row that was named."""
    return re.findall(r"^rejected: (.*?(?:line|row) \d+): (.*(?:\n[ \t].*)*)", text, re.M)


def _name(function):
    """How another process finds the function: FILE::NAME or MODULE::NAME."""
    name = getattr(function, "__qualname__", None) or f"<{type(function).__name__}>"
    if "<" in name or "." in name:
        raise ValueError(f"{name}: tranche.map needs a function at the top level of a file; a lambda, a method, a partial or a "
                         "function inside another cannot be found by the processes that run it")
    if function.__module__ != "__main__":
        return f"{function.__module__}::{name}"
    file = getattr(sys.modules["__main__"], "__file__", None)
    if not file:
        raise ValueError(f"{name}: tranche.map needs a function that stands in a file, not one that was typed in")
    return f"{os.path.abspath(file)}::{name}"


def _find(text):
    where, name = text.rsplit("::", 1)
    sys.path.insert(0, os.path.dirname(where) if where.endswith(".py") else os.getcwd())
    if not where.endswith(".py"):
        return getattr(importlib.import_module(where), name)
    module = os.path.splitext(os.path.basename(where))[0]
    spec = importlib.util.spec_from_file_location(module, where)
    sys.modules[module] = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # of a script nobody else does
    spec.loader.exec_module(sys.modules[module])
    return getattr(sys.modules[module], name)


def _names(code):
    """What it looks up, inner functions too."""
    inner = (_names(c) for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*inner)


def _parts(value):
    """Code objects of a function, or of the methods of a class."""
    functions = vars(value).values() if isinstance(value, type) else [value]
    functions = (getattr(f, "__func__", None) or getattr(f, "fget", None) or f for f in functions)
    return [f.__code__ for f in functions if isinstance(f, types.FunctionType)]


def _constant(value):
    """The same text for the same value in every process: sets have no order there."""
    if isinstance(value, dict):
        return "{%s}" % ",".join(f"{_constant(k)}:{_constant(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = [_constant(v) for v in value]
        return type(value).__name__ + str(sorted(parts) if isinstance(value, (set, frozenset)) else parts)
    try:
        return pickle.dumps(value, 4).hex()
    except Exception:  # a module, a lock, an open file: no constant
        return str(type(value))


def _code(function):
    """A digest of its source, and of the functions, classes and constants of its module that it uses, and they."""
    seen, todo, digest = set(), [("", function)], hashlib.blake2b(digest_size=16)
    module = vars(sys.modules.get(function.__module__, types))
    while todo:
        name, value = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            if isinstance(value, (type, types.FunctionType)):
                text = inspect.getsource(value) if value.__module__ == function.__module__ else value.__module__
                text += _constant([getattr(value, "__defaults__", None), getattr(value, "__kwdefaults__", None)])
            else:
                text = _constant(value)
        except (OSError, TypeError, RecursionError):  # no constant, and nothing that has a source
            text = str(type(value))
        digest.update(f"{name}\0{text}\0".encode(errors="surrogatepass"))
        if getattr(value, "__module__", None) == function.__module__:
            used = set().union(*(_names(c) for c in _parts(value)))
            todo += [(n, module[n]) for n in sorted(used) if n in module]
            todo += [(f"{name} of {b.__qualname__}", b) for b in getattr(value, "__bases__", ())]
            if hasattr(value, "__wrapped__"):  # as functools.wraps and lru_cache leave it
                todo.append((f"{name} inside", value.__wrapped__))
    return digest.hexdigest()


def _mark(line):
    """What tells a result whose item it is: those of rejected items are missing."""
    return "x" + hashlib.blake2b(line.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _of_items(function):
    def call(rows):
        for row in rows:
            # While only the columns are asked for, nobody needs to wait for the function.
            value = None if os.environ.get("TRANCHE_SAMPLE") else function(json.loads(row["line"]))
            yield {"item": _mark(row["line"]), "result": json.dumps(value, ensure_ascii=False)}
    return call


def _of_rows(function):
    def call(rows):
        for row in rows:
            result = function(row)
            if isinstance(result, dict):
                yield result
            elif result is not None:
                yield from result
    return call


def _flags(options):
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        for v in value if isinstance(value, (list, tuple)) else [value]:
            if v is True:
                yield flag
            elif v is not None and v is not False:
                yield f"{flag}={v}"


def _write_items(items, path, jobs, options):
    n = 0
    with open(path, "w", encoding="utf-8") as f:
        for item in items:
            f.write(json.dumps(item, ensure_ascii=False) + "\n")
            n += 1
    if not any(o.startswith("batch") for o in options):
        # What is kept is the result of a batch: with a cache each item is one, so that it is found among others, too.
        each = 1 if options.get("cache") else min(1000, n // (8 * (jobs or os.cpu_count() or 1)))
        options["batch_rows"] = max(1, each)
    return n


class _Rows:
    """The lines that a run writes to its stdout, as values; ends the run when nobody wants more."""

    def __init__(self, argv, folder, env):
        self._run = None  # for __del__, if it cannot be started
        self._errors = tempfile.TemporaryFile()
        self._folder = folder
        self._run = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, env=env)

    def __iter__(self):
        return self

    def __next__(self):
        row = self._read()
        if row is None:
            raise StopIteration
        return row

    def _read(self):
        """The next row; None: the run ended well."""
        line = self._run.stdout.readline() if self._run else b""
        if line:
            return json.loads(line)
        self.close(check=True)
        return None

    def _said(self):
        """What it has said so far, wherever its own writing stands."""
        return os.pread(self._errors.fileno(), os.fstat(self._errors.fileno()).st_size, 0).decode(errors="replace").strip()

    def _failure(self, text):
        first = text.find("rejected: ")  # the row and why; before it stand the attempts, behind it the sums
        rows = [f"{where}: {why}" for where, why in _rejected(text)]
        last = [x for x in text.splitlines()[-1:] if x.startswith("tranche: ")]
        return "\n".join(rows + last) if rows else text[first:] if first >= 0 else text[-4000:]

    def close(self, check=False):
        run, self._run = self._run, None
        if not run:
            return
        if not check:
            run.terminate()
        run.stdout.close()
        code = run.wait()
        text = self._said()
        failure = self._failure(text) if check and code not in (0, 3) else None
        self._end(text)
        self._errors.close()
        if self._folder:
            self._folder.cleanup()
        if failure is not None:
            raise Error(failure or f"tranche ended with exit code {code}")

    def _end(self, text):
        pass

    def __del__(self):
        self.close()


class _Items(_Rows):
    """A result for each item, in order; a tranche.Error stands where one was rejected."""

    def __init__(self, argv, folder, env, path, may_reject):
        self._lines = open(path, encoding="utf-8", newline="\n")
        self._path, self._may_reject, self._at, self._row, self._whole = path, may_reject, -1, None, ""
        super().__init__(argv, folder, env)

    def __next__(self):
        if self._row is None:
            self._row = self._read()
        line = self._lines.readline().rstrip("\n")
        if not line:
            self._lines.close()
            raise StopIteration
        self._at += 1
        row = self._row
        if row and row["item"] == _mark(line):
            self._row = None
            return json.loads(row["result"])
        if not self._may_reject:  # the run is about to fail
            while self._read() is not None:
                pass
        error = Error(_item(self._at, line, self._why(self._at)))
        error.index, error.item = self._at, json.loads(line)
        return error

    def _read(self):
        return super()._read() if self._run else None

    def _why(self, at):
        """It was named before the results that follow it were written, but by another thread."""
        while True:
            running = self._run and self._run.poll() is None
            text = self._said() if self._run else self._whole
            for where, why in _rejected(text):
                if where.endswith(f"line {at + 1}"):
                    return why
            if not running or "\nfurther rejected rows" in text:
                return "rejected; only of the first ones it is told why"
            time.sleep(0.01)

    def _failure(self, text):
        number = {int(where.rsplit(" ", 1)[1]) - 1: why for where, why in _rejected(text)}
        with open(self._path, encoding="utf-8", newline="\n") as f:
            return "\n".join(_item(i, line, number[i]) for i, line in enumerate(f) if i in number) or super()._failure(text)

    def _end(self, text):
        self._whole = text


def _item(at, line, why):
    value = line.rstrip("\n")
    return f"item {at} (value {value if len(value) <= 80 else value[:77] + '...'}): {why}"


def _loaded(into, table):
    kind, path = into.split(":", 1)
    if kind == "sqlite":
        con = sqlite3.connect(path)
        con.row_factory = sqlite3.Row
        name = table.replace('"', '""')
        for row in con.execute(f'SELECT * FROM "{name}"'):
            yield dict(row)
        con.close()
    elif kind == "jsonl":
        with open(path, encoding="utf-8") as f:
            yield from (json.loads(x) for x in f)
    else:
        with open(path, encoding="utf-8", newline="") as f:
            yield from _read_csv(f.read())[1]


def map(function, items=None, *, csv=None, jsonl=None, lines=None, into=None, table=None, jobs=None, tranche=None, **options):
    """function(x) for every x in `items`, or function(row) for every row of files, in `jobs` processes.

    Of `items` (whatever JSON can say) it yields what the function returned, in order. Of `csv`, `jsonl` and `lines` (paths
    and globs) rows are dicts; the function returns a dict, several, or None for no row, and they are yielded in order. With
    `into` ("sqlite:FILE" with `table`, "csv:FILE", "jsonl:FILE") they are loaded exactly once instead, before map returns: what
    it yields then are the rows of the table. With `cache=True` what the function returned is kept in .tranche/cache, and it is
    not called again for the same item until it is changed. Further options are those of `tranche run`: timeout="1h", bad_rows=10,
    sandbox="strict".
    What the function raises is raised here as tranche.Error, with the item and the line that raised it. With bad_rows=10 so
    many items may fail: a tranche.Error, with `index` and `item`, is yielded in the place of each one's result.
    """
    if "TRANCHE_FORMAT" in os.environ:
        raise Error("tranche.map is called while its own function is loaded: put the call under if __name__ == '__main__':")
    given = [x for x in (items, csv, jsonl, lines) if x is not None]
    if len(given) != 1:
        raise ValueError("tranche.map takes one of items, csv, jsonl and lines")
    if into and not into.startswith(("sqlite:", "csv:", "jsonl:")) or into and into.startswith("sqlite:") and not table:
        raise ValueError("into is 'sqlite:FILE' with a table, 'csv:FILE' or 'jsonl:FILE'")
    if into and items is not None:
        raise ValueError("into loads rows of csv, jsonl or lines; what items give is yielded")
    program = tranche or os.environ.get("TRANCHE") or shutil.which("tranche")
    if not program:
        raise Error("there is no program 'tranche' in PATH")
    how, name = "rows", _name(function)
    options.setdefault("retries", 0)
    if isinstance(options.get("cache"), bool):
        options["cache"] = "true" if options["cache"] else None
    folder = None if into else tempfile.TemporaryDirectory(prefix="tranche-map-")
    home = {} if into or options.get("cache") else {"TRANCHE_HOME": os.path.join(folder.name, "home")}  # nothing to go on with
    if items is not None:
        jsonl, how = os.path.join(folder.name, "items.jsonl"), "items"
        if not _write_items(items, jsonl, jobs, options):
            folder.cleanup()
            return iter(())
    source = {"csv": csv, "jsonl": jsonl, "lines": lines}
    command = shlex.join([sys.executable, os.path.abspath(__file__), name, how])
    argv = [program, "run", "--progress", "none", *_flags(source), *_flags({"into": into or "stdout:jsonl", "table": table}),
            *(["-j", str(jobs)] if jobs else []), "--exec", command, "--exec-format", "jsonl", "--persistent",
            "--env", f"TRANCHE_CODE={_code(function)}",  # another function is another job
            *_flags(options)]
    if items is not None:
        return _Items(argv, folder, {**home, **os.environ}, jsonl, options.get("bad_rows"))
    run = _Rows(argv, folder, {**home, **os.environ})
    if not into:
        return run
    run._run.stdout.read()
    run.close(check=True)
    return _loaded(into, table)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in ("items", "rows"):
        sys.exit("tranche.py is a module: see its first lines")
    _serve((_of_items if sys.argv[2] == "items" else _of_rows)(_find(sys.argv[1])))
