"""dask_load.py FILE.csv DATABASE TABLE [TEXT-OF-NULL]: what one writes with Dask.

Partitions are read and converted in parallel; SQLite has one writer, so they take turns to
write. Dask cuts files at line ends, which fails where fields hold line ends: such a file is
one partition.
"""

import sqlite3
import sys
import threading

import dask
import dask.dataframe

name, database, table, *null = sys.argv[1:]
writer = threading.Lock()


@dask.delayed
def write(part):
    with writer:
        con = sqlite3.connect(database)
        part.to_sql(table, con, if_exists="append", index=False)
        con.commit()
        con.close()


with open(name, newline="") as f:
    simple = not any(line.count('"') % 2 for line in f)
frame = dask.dataframe.read_csv(name, blocksize="16MB" if simple else None,
                                assume_missing=True, na_values=["", *null],
                                keep_default_na=False)
dask.compute(*map(write, frame.to_delayed()))
