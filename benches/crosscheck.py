"""dash's numbers against DuckDB's: 200,000 sample operations, every wrapper and hour.

Counters and token sums must be equal, costs and means equal up to rounding, percentiles within 1 %.
"""

import json
import math
import subprocess
import sys

import tools

QUERY = """
SELECT wrapper_name AS wrapper, strftime(date_trunc('hour', end_time::TIMESTAMP), '%Y-%m-%dT%H:%M:%SZ') AS hour,
    count(*) AS total_operations,
    count(*) FILTER (status = 'success') AS success_count,
    count(*) FILTER (status = 'fallback') AS fallback_count,
    count(*) FILTER (status IN ('error', 'timeout', 'cancelled')) AS error_count,
    sum(cost_estimate) AS cost, sum(prompt_tokens)::BIGINT AS prompt_tokens,
    sum(completion_tokens)::BIGINT AS completion_tokens, sum(cached_tokens)::BIGINT AS cached_tokens,
    sum(total_tokens)::BIGINT AS total_tokens, avg(duration_ms) AS avg_response_time,
    list_sort(list(duration_ms)) AS durations
FROM read_json(?, format = 'newline_delimited')
WHERE status <> 'started' AND end_time::TIMESTAMP < ?::TIMESTAMP
GROUP BY ALL
"""
EXACT = ["total_operations", "success_count", "fallback_count", "error_count",
         "prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens"]


def main():
    module = tools.duckdb()
    if module is None:
        sys.exit("DuckDB cannot be installed from PyPI here, so there is nothing to check against")
    sys.path.insert(0, module)
    import duckdb

    binary = tools.dash()
    log = tools.sample(binary, tools.WORK / "200k.jsonl", 200_000)
    folder = tools.site("crosscheck", log)
    subprocess.run(tools.build(binary, folder), check=True)
    command = [binary, "export", "--format", "json", "--hours", "720", "--config", str(folder / "dash.toml")]
    answer = json.loads(subprocess.run(command + ["--now", tools.NOW], check=True, capture_output=True).stdout)
    ours = {(row["wrapper_name"], row["timestamp"]): row for row in answer}

    result = duckdb.connect().execute(QUERY, [str(log), tools.NOW.rstrip("Z")])
    names = [column[0] for column in result.description]
    theirs = {(row[0], row[1]): dict(zip(names, row)) for row in result.fetchall()}

    wrong = [f"{key}: only one of the two has it" for key in ours.keys() ^ theirs.keys()]
    for key in ours.keys() & theirs.keys():
        wrong += differences(key, ours[key], theirs[key])
    operations = sum(row["total_operations"] for row in ours.values())
    print(f"{operations} operations in {len(ours)} rows of wrapper and hour: {len(wrong)} differences")
    for line in wrong[:20]:
        print(" ", line)
    sys.exit(1 if wrong or operations == 0 else 0)


def differences(key, ours, theirs):
    for name in EXACT:
        if ours[name] != (theirs[name] or 0):
            yield f"{key} {name}: {ours[name]} and {theirs[name]}"
    for name, tolerance in [("cost", 1e-9), ("avg_response_time", 1e-4)]:
        if abs(ours[name] - theirs[name]) > tolerance * max(1.0, abs(theirs[name])):
            yield f"{key} {name}: {ours[name]} and {theirs[name]}"
    durations = theirs["durations"]
    for name, q in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)]:
        truth = durations[max(math.ceil(q * len(durations)), 1) - 1]
        if abs(ours[name] - truth) > 0.01 * truth + 0.001:
            yield f"{key} {name}: {ours[name]} and {truth}"


main()
