"""What the scripts of this folder share: the binary, sample logs, peers, daemons, and measuring a command."""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "bench"
# The moment that every build is for, and the end of every sample log.
NOW = "2026-01-26T12:00:00Z"
# Asks for live updates.
HANDSHAKE = (b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
             b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


def dash():
    """The release binary, built where it is missing or old."""
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    return str(ROOT / "target" / "release" / "dash")


def duckdb():
    """The DuckDB module, installed from PyPI into target/; None where that does not work."""
    folder = WORK / "python"
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "duckdb"]
        if subprocess.run(command).returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            return None
    return str(folder)


def sample(binary, path, operations, wrappers=5, days=7):
    """A log of so many operations, made once."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = operations / (days * 1440) * 1.15
    command = [binary, "sample", "--wrappers", str(wrappers), "--days", str(days), "--now", NOW]
    whole = path.with_suffix(".whole")
    with whole.open("wb") as out:
        subprocess.run(command + ["--rate", f"{rate:.3f}/min"], stdout=out, check=True)
    # The newest ones: a log ends now. What is there under its name is whole, even if this was stopped before.
    newest = path.with_suffix(".newest")
    with newest.open("wb") as out:
        subprocess.run(["tail", "-n", str(operations), str(whole)], stdout=out, check=True)
    whole.unlink()
    newest.rename(path)
    return path


def site(name, log):
    """A fresh site that reads this log and nothing else."""
    folder = WORK / "sites" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "dash.toml").write_text(f"[[source]]\npath = {str(log)!r}\n")
    return folder


class Daemon:
    """dash serve on a free port, for as long as it is used."""

    def __init__(self, binary, folder, *flags):
        self.log = folder / "log"
        with self.log.open("w") as log:
            command = [binary, "serve", "--bind", "127.0.0.1:0", *flags]
            self.process = subprocess.Popen(command, cwd=folder, stderr=log)
        found = None
        while not found:
            found = re.search(r"serving http://127.0.0.1:(\d+)/", self.log.read_text())
            if self.process.poll() is not None:
                raise SystemExit(f"the daemon ended: {self.log.read_text()}")
            time.sleep(0.1)
        self.port = int(found.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=10)
        finally:
            self.process.kill()

    def resident(self):
        """Bytes of memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024


def build(binary, folder, *flags):
    return [binary, "build", "--quiet", "--config", str(folder / "dash.toml"), "--now", NOW, *flags]


def measure(command, **options):
    """Seconds, and peak memory in bytes, of a command that must succeed."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return seconds, usage.ru_maxrss * (1024 if sys.platform == "linux" else 1)


def median(values):
    return statistics.median(values)


def pairs(count, ours, theirs):
    """Runs both by turns, so that both see the same machine; the two medians."""
    rows = [(ours(), theirs()) for _ in range(count)]
    return median([row[0] for row in rows]), median([row[1] for row in rows])


def warmed(run):
    """The second of two runs: what it reads is in the page cache then. Machines that reclaim memory which has been
    idle for some seconds would else put the disk into the figure of whoever's turn comes after a slow peer's."""
    def second():
        run()
        return run()
    return second
