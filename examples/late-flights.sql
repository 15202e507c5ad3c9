-- What to look at after late-flights.yaml: sqlite3 -box examples/flights.db <examples/late-flights.sql
SELECT origin, count(*) AS late_flights, max(delay) AS longest_min
FROM late GROUP BY origin ORDER BY late_flights DESC, origin LIMIT 5;
SELECT worker, count(*) AS batches, sum(rows_read) AS rows_read
FROM tranche_ledger WHERE load = (SELECT max(load) FROM tranche_ledger) GROUP BY worker ORDER BY worker;
