"""The daemon beside nginx on the same files, in one run: medians of rounds that take turns.

    python3 benches/serve.py [--operations 50000 5000000] [--sockets 2000] [--rounds 5] [--seconds 3]

Needs nginx and wrk, which Debian has. All of it shares one machine: clients, nginx and daemon.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

import tools
from tools import WORK, median, sample, site

NGINX = """
worker_processes auto; pid {here}/nginx.pid; error_log {here}/nginx.log; daemon off;
events {{ worker_connections 4096; }}
http {{
  include /etc/nginx/mime.types; access_log off; sendfile on; tcp_nopush on; keepalive_requests 10000000;
  gzip_static on; open_file_cache max=1000;
  server {{ listen 127.0.0.1:{port}; root {here}/files; }}
}}
"""
PORT = 5190


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--operations", type=int, nargs="+", default=[50_000, 5_000_000])
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    binary, rows = tools.dash(), []
    for operations in arguments.operations:
        log = sample(binary, WORK / f"{operations}.jsonl", operations)
        folder = site(f"serve-{operations}", log)
        subprocess.run([binary, "build", "--quiet", "--now", tools.NOW], cwd=folder, check=True)
        with tools.Daemon(binary, folder, "--no-build") as daemon:
            static = static_files(daemon, folder, arguments, rows) if not rows else static
            answers(daemon, operations, static, arguments, rows)
    live(binary, arguments, rows)
    print("| work | dash | beside | ratio | goal |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def rate(port, path, coding, seconds):
    """Requests a second."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}", "-H", f"Accept-Encoding: {coding}"]
    out = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], check=True, capture_output=True, text=True)
    assert "Non-2xx" not in out.stdout, out.stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out.stdout).group(1))


def static_files(daemon, folder, arguments, rows):
    """Pages and assets beside nginx; gives the daemon's rate of the overview, packed."""
    here = WORK / "nginx"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(folder / "output", here / "files")
    here.chmod(0o755)
    for path in (here / "files").rglob("*"):
        if path.suffix in (".html", ".js", ".css"):
            subprocess.run(["gzip", "-k6", str(path)], check=True)
    (here / "nginx.conf").write_text(NGINX.format(here=here, port=PORT))
    user = ["-g", "user root;"] if os.getuid() == 0 else []
    nginx = subprocess.Popen(["nginx", "-c", str(here / "nginx.conf"), *user])
    try:
        time.sleep(1)
        asset = next((folder / "output/assets").glob("script.*.js"))
        packed = 0
        for name, path in [("overview", "/"), ("asset", f"/assets/{asset.name}")]:
            for coding in ["identity", "gzip"]:
                ours, theirs = [], []
                for _ in range(arguments.rounds):
                    theirs.append(rate(PORT, path, coding, arguments.seconds))
                    ours.append(rate(daemon.port, path, coding, arguments.seconds))
                ratio = median(ours) / median(theirs)
                beside = f"nginx {median(theirs):,.0f}/s"
                rows.append([f"{name}, {coding}", f"{median(ours):,.0f}/s", beside, f"{ratio:.2f}", "≥ 0.8"])
                packed = median(ours) if (name, coding) == ("overview", "gzip") else packed
        return packed
    finally:
        nginx.terminate()
        nginx.wait()


def answers(daemon, operations, static, arguments, rows):
    names = json.load(urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/api/wrappers/health"))["data"]
    metrics = f"/api/wrappers/{urllib.request.quote(next(iter(names)))}/metrics?hours=24"
    for path in ["/api/charts/performance?hours=24", metrics]:
        ours = median([rate(daemon.port, path, "gzip", arguments.seconds) for _ in range(arguments.rounds)])
        work, beside = f"`{path}` of {operations:,} operations", f"overview {static:,.0f}/s"
        rows.append([work, f"{ours:,.0f}/s", beside, f"{ours / static:.2f}", "≥ 0.5"])
    rows.append([f"idle memory, {operations:,} operations", f"{daemon.resident() / 1e6:.0f} MB", "", "", "≤ 40 MB"])


def live(binary, arguments, rows):
    """Appends one line at a time while sockets wait for their refresh."""
    folder = WORK / "sites" / "serve-live"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "content/operations").mkdir(parents=True)
    (folder / "dash.toml").write_text("")
    log = folder / "content/operations/live.jsonl"
    subprocess.run([binary, "sample", "--quiet", "--days", "1", "--to", str(log)], cwd=folder, check=True)
    with tools.Daemon(binary, folder) as daemon:
        before = daemon.resident()
        times, after = asyncio.run(refreshes(daemon, log, arguments))
        a_socket = (after - before) / arguments.sockets / 1024
    times.sort()
    p99, lost = times[int(len(times) * 0.99) - 1] * 1000, 10 * arguments.sockets - len(times)
    work = f"append → {arguments.sockets:,} sockets told, p99 ({lost} lost)"
    rows.append([work, f"{p99:.0f} ms", "", "", "≤ 250 ms, 0 lost"])
    rows.append(["memory a socket", f"{a_socket:.1f} KB", "", "", "≤ 32 KB"])


async def refreshes(daemon, log, arguments):
    streams = []
    for _ in range(arguments.sockets):
        reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        writer.write(tools.HANDSHAKE)
        streams.append((reader, writer))
    for reader, _ in streams:
        await reader.readuntil(b'"status"')
    memory, times = daemon.resident(), []
    for _ in range(10):
        # Between the builds that time calls for.
        await asyncio.sleep(2)
        told = [asyncio.create_task(refreshed(reader)) for reader, _ in streams]
        await asyncio.sleep(0)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with log.open("a") as out:
            out.write(json.dumps({"wrapper_name": "RouteLLM", "end_time": now, "duration_ms": 5}) + "\n")
        begun = time.monotonic()
        done, late = await asyncio.wait(told, timeout=10)
        times += [task.result() - begun for task in done if task.exception() is None]
        [task.cancel() for task in late]
    [writer.close() for _, writer in streams]
    return times, memory


async def refreshed(reader):
    """When the next refresh came in."""
    await reader.readuntil(b'"refresh"')
    return time.monotonic()


if __name__ == "__main__":
    main()
