// Flights by origin with DuckDB, for bench/run: duckdb_aggregate.js FILE OUT THREADS.
// npm install @duckdb/node-api somewhere, and point NODE_PATH at its node_modules.

const { DuckDBInstance } = require("@duckdb/node-api");
const fs = require("fs");

async function main([file, out, threads]) {
    const db = await DuckDBInstance.create(":memory:", { threads });
    const con = await db.connect();
    const reader = await con.runAndReadAll(
        `SELECT origin, count(*), avg(delay), stddev(delay), quantile_cont(delay, 0.95)
         FROM read_csv('${file}') GROUP BY origin ORDER BY origin`);
    fs.writeFileSync(out, reader.getRows().map((r) => r.join(" ")).join("\n") + "\n");
}

main(process.argv.slice(2));
