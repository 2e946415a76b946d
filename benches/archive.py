"""Kept snapshots against their goals: keeping, verifying and comparing them, and their size. Medians.

    python3 benches/archive.py [--runs 5]
"""

import argparse
import json
import shutil
import subprocess

import tools
from tools import WORK, measure, median, sample, site

LATER = "2026-01-26T12:30:00Z"
# What the default `keep` leaves of a year: hours of two days, days of thirty, and months.
KEPT_OF_A_YEAR = 48 + 30 + 12


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    binary, rows = tools.dash(), []
    many = sample(binary, WORK / "wrappers.jsonl", 200_000, wrappers=1000)
    of_many(binary, grown(many, "archive-many"), runs, rows)
    of_few(binary, grown(sample(binary, WORK / "20000.jsonl", 20_000), "archive-few"), rows)
    print("| work | measured | goal |\n| --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def grown(log, name):
    """A site of its own copy of a log."""
    copy = WORK / f"{name}.jsonl"
    shutil.copy(log, copy)
    return site(name, copy), copy


def snapshot(binary, folder, moment=tools.NOW):
    command = [binary, "snapshot", "--quiet", "--config", str(folder / "dash.toml"), "--now", moment]
    return measure(command)[0]


def of_many(binary, place, runs, rows):
    folder, log = place
    snapshot(binary, folder)
    again = median([snapshot(binary, folder) for _ in range(runs)])
    with log.open("ab") as out:
        out.write(log.read_bytes().splitlines(keepends=True)[-1])
    snapshot(binary, folder, LATER)
    config = ["--config", str(folder / "dash.toml")]
    report = lambda *arguments: subprocess.run([binary, *arguments, *config, "--json"], capture_output=True, check=True)
    ids = sorted(path.name for path in (folder / "output" / "archive").iterdir() if (path / "manifest.json").exists())
    size = json.loads(report("verify").stdout)["bytes"]
    verify = median([measure([binary, "verify", "--quiet", *config])[0] for _ in range(runs)])
    diff = median([measure([binary, "diff", *ids, "--json", *config])[0] for _ in range(runs)])
    rows.append(["1,000 wrappers: a snapshot of what is kept already", f"{again * 1000:.0f} ms", "≤ 100 ms"])
    rows.append(["1,000 wrappers: `dash verify` of two", f"{size / verify / 1e6:.0f} MB/s", "≥ 500 MB/s"])
    rows.append(["1,000 wrappers: `dash diff` of two", f"{diff * 1000:.0f} ms", "≤ 300 ms"])
    log.unlink()


def of_few(binary, place, rows):
    folder, log = place
    snapshot(binary, folder)
    entries = [path for path in (folder / "output" / "archive").iterdir() if (path / "manifest.json").exists()]
    size = sum(path.stat().st_size for path in entries[0].rglob("*") if path.is_file())
    rows.append(["5 wrappers: a snapshot", f"{size / 1e6:.2f} MB", ""])
    rows.append(["a year of hourly ones, as `keep` leaves it", f"{size * KEPT_OF_A_YEAR / 1e6:.0f} MB", "≤ 500 MB"])
    rows.append(["a year of hourly ones, all kept", f"{size * 8760 / 1e6:.0f} MB", ""])
    log.unlink()


main()
