"""pandas_load.py FILE.csv DATABASE TABLE [TEXT-OF-NULL]: what one writes with pandas."""

import sqlite3
import sys

import pandas

name, database, table, *null = sys.argv[1:]
con = sqlite3.connect(database)
for chunk in pandas.read_csv(name, chunksize=100_000, na_values=["", *null],
                             keep_default_na=False):
    chunk.to_sql(table, con, if_exists="append", index=False)
con.commit()
con.close()
