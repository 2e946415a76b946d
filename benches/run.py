"""dash beside its peers, in one run on the same data: medians of pairs that take turns; beside a peer,
each run comes after a warm-up of its own.

    python3 benches/run.py [--operations 2000000] [--pairs 5]

DuckDB comes from PyPI and GoAccess from Debian; where one is missing, its rows say so.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

import tools
from tools import WORK, build, measure, median, pairs, sample, site, warmed

AGGREGATION = """
import sys
sys.path.insert(0, sys.argv[1])
import duckdb
connection = duckdb.connect()
connection.execute("SET threads = 2")
connection.execute('''
    SELECT wrapper_name, date_trunc('minute', end_time::TIMESTAMP), count(*),
        count(*) FILTER (status = 'success'), count(*) FILTER (status = 'fallback'),
        count(*) FILTER (status IN ('error', 'timeout', 'cancelled')),
        sum(cost_estimate), sum(total_tokens), avg(duration_ms),
        approx_quantile(duration_ms, [0.5, 0.95, 0.99])
    FROM ''' + sys.argv[2] + '''
    GROUP BY ALL
''').fetchall()
"""
COLUMNS = ("{wrapper_name: 'VARCHAR', end_time: 'VARCHAR', status: 'VARCHAR', "
           "cost_estimate: 'DOUBLE', total_tokens: 'BIGINT', duration_ms: 'DOUBLE'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--operations", type=int, default=2_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    binary, rows = tools.dash(), []
    log = sample(binary, WORK / f"{arguments.operations}.jsonl", arguments.operations)
    against_duckdb(binary, log, arguments, rows)
    against_goaccess(binary, log, arguments, rows)
    appends(binary, log, arguments, rows)
    memory(binary, log, arguments, rows)
    many_wrappers(binary, arguments, rows)
    print("| work | dash | beside | ratio | goal |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def cold(binary, log, name):
    """Seconds of a build from nothing."""
    folder = site(name, log)
    return measure(build(binary, folder))[0]


def beside(count, ours, theirs):
    """Medians of pairs, each run after a warm-up."""
    return pairs(count, warmed(ours), warmed(theirs))


def against_duckdb(binary, log, arguments, rows):
    read = lambda: measure(["wc", "-l", str(log)])[0]
    ours, theirs = beside(arguments.pairs, lambda: cold(binary, log, "cold"), read)
    rows.append(row(f"cold build, {arguments.operations:,} operations, JSONL", ours, "`wc -l`", theirs, ""))
    module = tools.duckdb()
    if module is None:
        rows.append(["cold build against DuckDB", "", "not to be had here", "", "≤ 0.50"])
        return
    query = lambda source: measure([sys.executable, "-c", AGGREGATION, module, source])[0]
    table = f"read_json('{log}', format = 'newline_delimited', columns = {COLUMNS})"
    ours, theirs = beside(arguments.pairs, lambda: cold(binary, log, "cold"), lambda: query(table))
    rows.append(row("the same", ours, "DuckDB, aggregation only", theirs, "≤ 0.50"))
    text = csv(module, log)
    ours, theirs = beside(arguments.pairs, lambda: cold(binary, text, "csv"), lambda: query(f"read_csv('{text}')"))
    rows.append(row("the same operations as CSV", ours, "DuckDB, aggregation only", theirs, "≤ 0.50"))


def csv(module, log):
    """The log as CSV, made by DuckDB once."""
    path = log.with_suffix(".csv")
    if not path.exists():
        code = "import sys; sys.path.insert(0, sys.argv[1]); import duckdb; duckdb.sql(sys.argv[2])"
        table = f"SELECT * FROM read_json('{log}', format = 'newline_delimited', convert_strings_to_integers = false)"
        query = f"COPY ({table}) TO '{path}' (FORMAT csv, HEADER)"
        subprocess.run([sys.executable, "-c", code, module, query], check=True)
    return path


def against_goaccess(binary, log, arguments, rows):
    goal = "≤ 0.02"
    if shutil.which("goaccess") is None:
        rows.append(["against GoAccess", "", "not installed: `apt-get install goaccess`", "", goal])
        return
    access = access_log(log)
    page = WORK / "goaccess.html"
    command = ["goaccess", str(access), "--log-format=COMBINED", "-o", str(page), "--no-progress"]
    theirs = lambda: measure(command, stderr=subprocess.DEVNULL)[0]
    ours, theirs = beside(min(arguments.pairs, 5), lambda: cold(binary, log, "cold"), theirs)
    rows.append(row("the same, as a combined access log for GoAccess", ours, "GoAccess to HTML", theirs, goal))


def access_log(log):
    """The same operations as the access log of a proxy would have them."""
    path = log.with_suffix(".access")
    if path.exists():
        return path
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    codes = {"success": 200, "fallback": 200, "error": 500, "timeout": 504, "cancelled": 499}
    with log.open() as lines, path.open("w") as out:
        for number, line in enumerate(lines):
            record = json.loads(line)
            end = record.get("end_time")
            if end is None:
                continue
            when = f"{end[8:10]}/{months[int(end[5:7]) - 1]}/{end[:4]}:{end[11:19]} +0000"
            address = f"10.0.{number % 200}.{number % 251}"
            request = f"POST /{record['wrapper_name'].replace(' ', '-')}/{record['model']} HTTP/1.1"
            out.write(f'{address} - - [{when}] "{request}" {codes[record["status"]]} '
                      f'{record["total_tokens"]} "-" "bench"\n')
    return path


def appends(binary, log, arguments, rows):
    """1,000 operations appended to a large and to a small log of the same week, both built already. Every build
    is for the same moment, so what is measured is the cost of the news; a row of its own says what it costs
    that all windows have moved by a minute."""
    tail = subprocess.run(["tail", "-n", "1000", str(log)], capture_output=True, check=True).stdout

    def rebuilds(name, source):
        grown, seconds = WORK / f"{name}.jsonl", []
        shutil.copy(source, grown)
        # What is measured is not the disk, which takes the copy for seconds.
        os.sync()
        folder = site(name, grown)
        first = measure(build(binary, folder))[0]
        for _ in range(arguments.pairs):
            with grown.open("ab") as out:
                out.write(tail)
            seconds.append(measure(build(binary, folder))[0])
        idle = median([measure(build(binary, folder))[0] for _ in range(arguments.pairs)])
        grown.unlink()
        return first, median(seconds), idle, next_minute(binary, folder)

    small = arguments.operations // 100
    first, large, idle, minute = rebuilds("large", log)
    _, little, _, _ = rebuilds("small", sample(binary, WORK / f"{small}.jsonl", small))
    rows.append(row("1,000 operations appended: rebuild", large, "the cold build", first, "≤ 0.05"))
    rows.append(row("the same", large, f"the same on {small:,}", little, "≤ 1.5"))
    rows.append(row("nothing new, a minute later", minute, "the cold build", first, ""))
    rows.append(row("nothing new", idle, "the cold build", first, ""))


def next_minute(binary, folder):
    """Seconds of a build for the minute after, when all windows have moved."""
    later = tools.NOW.replace("12:00:00Z", "12:01:00Z")
    return measure([part if part != tools.NOW else later for part in build(binary, folder)])[0]


def memory(binary, log, arguments, rows):
    peak = lambda path: measure(build(binary, site("memory", path)))[1] / 1e6
    tenfold = WORK / f"{arguments.operations * 10}.jsonl"
    sample(binary, tenfold, arguments.operations * 10)
    once, ten = pairs(arguments.pairs, lambda: peak(log), lambda: peak(tenfold))
    rows.append(["peak memory of the cold build", f"{once:.0f} MB", "", "", "≤ 200 MB"])
    rows.append(["the same, ten times the operations", f"{ten:.0f} MB", f"{once:.0f} MB", f"{ten / once:.2f}", "≤ 1.1"])


def many_wrappers(binary, arguments, rows):
    log = sample(binary, WORK / "wrappers.jsonl", 200_000, wrappers=1000)
    grown = WORK / "wrappers-grown.jsonl"
    shutil.copy(log, grown)
    os.sync()
    folder = site("wrappers", grown)
    first = measure(build(binary, folder))[0]
    last = log.read_bytes().splitlines(keepends=True)[-1]
    seconds = []
    for _ in range(arguments.pairs):
        with grown.open("ab") as out:
            out.write(last)
        seconds.append(measure(build(binary, folder))[0])
    grown.unlink()
    rows.append(["1,000 wrappers × 7 days: cold", f"{first:.3f} s", "", "", "≤ 3 s"])
    rows.append(["the same, after one wrapper changed", f"{median(seconds) * 1000:.0f} ms", "", "", "≤ 150 ms"])
    minute = next_minute(binary, folder)
    rows.append(["the same, nothing new, a minute later", f"{minute:.3f} s", "", "", ""])


def row(work, ours, peer, theirs, goal):
    return [work, f"{ours:.3f} s", f"{theirs:.3f} s ({peer})", f"{ours / theirs:.3f}", goal]


main()
