"""pandas_impute.py FILE.csv COLUMN DATABASE: what is missing becomes the mean; cast, doubled,
loaded as table t. Only the column is read."""

import sqlite3
import sys

import pandas

name, column, database = sys.argv[1:]
frame = pandas.read_csv(name, usecols=[column], na_values=["", "NA"], keep_default_na=False)
mean = frame[column].mean()
frame["doubled"] = frame[column].fillna(mean).astype("int64") * 2
con = sqlite3.connect(database)
frame[["doubled"]].to_sql("t", con, index=False)
con.commit()
con.close()
