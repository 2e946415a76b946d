"""A daemon under everything at once: a log that grows and is rotated, reports, readers, sockets that come and go,
builds that someone asks for, settings that are saved again. Counts memory, descriptors, threads and lost updates, and
fails where any of them grows or anything is lost.

    python3 benches/soak.py [--minutes 3] [--clients 50] [--binary target/debug/dash]

Without `--binary`, it is the release one. Needs nothing but Python.
"""

import argparse
import asyncio
import collections
import gzip
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import tools

# Seconds until an update that a client was not told of counts as lost, and until all operations have to be there.
LATE, SETTLED = 10, 60
# How much more, of what was there in the second quarter of the time, there may be in the last.
MORE_BYTES, MORE_FILES, MORE_THREADS = 16 << 20, 16, 16
# Descriptors and threads that an idle daemon may have gained: the open file of its inbox, a thread that waits for work.
IDLE_FILES, IDLE_THREADS = 4, 2
ROTATE_SECONDS, ROTATED_KEPT = 4, 8
PAGES = ["/", "/data-quality", "/health", "/metrics", "/api/system/health", "/api/wrappers/health?hours=24",
         "/api/charts/performance?hours=24", "/api/metrics/export?format=csv", "/api/openapi.json", "/nowhere"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--binary")
    arguments = parser.parse_args()
    binary = str(Path(arguments.binary).resolve()) if arguments.binary else tools.dash()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(asyncio.run(Soak(binary, Path(folder), arguments).run()))


class Soak:
    def __init__(self, binary, folder, arguments):
        self.binary, self.folder, self.arguments = binary, folder, arguments
        self.logs = folder / "content" / "operations"
        self.logs.mkdir(parents=True)
        (folder / "dash.toml").write_text("")
        self.expected, self.count = collections.Counter(), collections.Counter()
        self.samples, self.snapshots, self.clients, self.failures = [], [], [], []

    async def run(self):
        seconds = self.arguments.minutes * 60
        with tools.Daemon(self.binary, self.folder) as daemon:
            self.daemon = daemon
            clients = [asyncio.create_task(self.stay()) for _ in range(self.arguments.clients)]
            await until(lambda: all(client.ids for client in self.clients) and len(self.clients) == len(clients), 30)
            idle = self.sample()
            await self.load(seconds)
            await self.settle()
            self.check_idle(idle, await self.idle(idle))
            self.check_growth()
            [client.cancel() for client in clients]
            await asyncio.gather(*clients, return_exceptions=True)
            begun = time.monotonic()
            code = await asyncio.to_thread(daemon.stop)
            self.check(code == 0 and time.monotonic() - begun < 5, f"the daemon did not end well: {code}")
        self.log = (self.folder / "log").read_text()
        # What it knew is on the disk.
        with tools.Daemon(self.binary, self.folder) as self.daemon:
            await self.settle()
        return self.report(seconds)

    async def load(self, seconds):
        """Everything at once; each task is begun again until the time is over."""
        works = [(self.append, 0.05), (self.rotate, ROTATE_SECONDS), (self.post, 0.1), (self.read, 0.02),
                 (self.visit, 0.2), (self.visit, 0.2), (self.hang_up, 3), (self.save, 7), (self.watch, 0.5)]
        end = time.monotonic() + seconds

        async def again(work, pause):
            while time.monotonic() < end:
                await work()
                await asyncio.sleep(min(pause, max(0, end - time.monotonic())))

        await asyncio.gather(*(again(work, pause) for work, pause in works))

    async def append(self):
        with (self.logs / "app.jsonl").open("ab", buffering=0) as log:
            for _ in range(5):
                # A line may arrive in two pieces.
                line = record("App", self.expected)
                cut = random.randrange(len(line))
                log.write(line[:cut])
                log.write(line[cut:])

    async def rotate(self):
        """By rename and by copy and truncation in turns, and packs older ones, as logrotate does."""
        newest, name = self.logs / "app.jsonl", lambda number: self.logs / f"app.jsonl.{number}"
        if not newest.exists():
            return
        for number in range(ROTATED_KEPT, 0, -1):
            for ending in ["", ".gz"]:
                old, new = Path(f"{name(number)}{ending}"), Path(f"{name(number + 1)}{ending}")
                if old.exists():
                    old.rename(new)
        Path(f"{name(ROTATED_KEPT + 1)}.gz").unlink(missing_ok=True)
        if name(3).exists():
            unfinished = self.logs / ".packing"
            unfinished.write_bytes(gzip.compress(name(3).read_bytes()))
            unfinished.rename(f"{name(3)}.gz")
            name(3).unlink()
        self.count["rotations"] += 1
        if self.count["rotations"] % 2:
            newest.rename(name(1))
        else:
            shutil.copyfile(newest, name(1))
            os.truncate(newest, 0)

    async def post(self):
        """A report in one of its forms; it counts where the daemon says that it took it."""
        told = collections.Counter()
        lines = [record("Reporter", told) for _ in range(random.choice([1, 10, 500]))]
        kind, body = random.choice([("application/x-ndjson", b"".join(lines)),
                                    ("application/json", b"[" + b",".join(lines) + b"]")])
        head = f"content-type: {kind}\r\n"
        if random.random() < 0.5:
            head, body = head + "content-encoding: gzip\r\n", gzip.compress(body)
        status, _ = await self.ask("POST", "/api/v1/operations", head, body)
        self.check(status in (202, 503), f"a report was answered with {status}")
        if status == 202:
            self.expected.update(told)
            self.count["reports"] += 1

    async def read(self):
        path = random.choice(PAGES)
        if random.random() < 0.1:
            # Asks, and is gone before the answer.
            _, writer = await asyncio.open_connection("127.0.0.1", self.daemon.port)
            writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
            writer.transport.abort()
            return
        status, _ = await self.ask("GET", path, random.choice(["", "accept-encoding: br\r\n"]))
        self.check(status == (404 if path == "/nowhere" else 200), f"`{path}` was answered with {status}")
        self.count["requests"] += 1

    async def visit(self):
        """A socket that comes, says something, and goes, politely or not."""
        client = Client(self.daemon.port)
        talk = asyncio.create_task(client.talk())
        await asyncio.sleep(random.random() * 2)
        client.say({"event": "hello", "snapshot": "20200101T000000Z-0"})
        client.say({"event": "subscribe_metrics", "wrapper": random.choice(["all", "App", "nobody"])})
        await asyncio.sleep(random.random())
        client.leave(random.random() < 0.5)
        await asyncio.gather(talk, return_exceptions=True)
        self.check(client.ids, "a visitor was told of no snapshot")
        self.count["visits"] += 1

    async def stay(self):
        """A tab that stays open and comes back when it loses the daemon, which it must not."""
        client = Client(self.daemon.port)
        self.clients.append(client)
        try:
            await client.talk()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.check(False, f"a client that was listening was dropped: {error}")

    async def hang_up(self):
        self.daemon.process.send_signal(signal.SIGHUP)

    async def save(self):
        """The settings, as an editor saves them."""
        unfinished = self.folder / ".dash.toml"
        unfinished.write_text(f"[site]\ntitle = 'Soak {self.count['rotations']}'\n")
        unfinished.rename(self.folder / "dash.toml")

    async def watch(self):
        """Notes what there is, and which clients were not told in time of what they should know."""
        self.samples.append((time.monotonic(), *self.sample()))
        snapshot = json.loads((await self.ask("GET", "/health"))[1])["snapshot"]
        now = time.monotonic()
        if not self.snapshots or self.snapshots[-1][1] != snapshot:
            self.snapshots.append((now, snapshot))
            self.count["snapshots"] += 1
        for since, snapshot in [seen for seen in self.snapshots if now - seen[0] > LATE]:
            for client in self.clients:
                # Whoever was told of anything later was told of a newer one.
                if snapshot not in client.ids and client.told < since:
                    self.failures.append(f"a client was not told of {snapshot}, nor of a newer one")
                    self.count["lost updates"] += 1
        self.snapshots = [seen for seen in self.snapshots if now - seen[0] <= LATE] or self.snapshots[-1:]

    async def ask(self, method, path, head="", body=b""):
        """Status and body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.daemon.port)
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}"
                     f"content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body

    async def totals(self):
        data = json.loads((await self.ask("GET", "/api/wrappers/health?hours=720"))[1])["data"]
        return collections.Counter({name: row["total_operations"] for name, row in data.items()})

    async def settle(self):
        """Waits until every operation is counted, and says what is lost where that does not come."""
        end = time.monotonic() + SETTLED
        while (totals := await self.totals()) != self.expected and time.monotonic() < end:
            await asyncio.sleep(0.2)
        for name in self.expected | totals:
            counted, expected = totals[name], self.expected[name]
            self.check(counted == expected, f"{name}: {expected:,} operations, {counted:,} counted")
            self.count["lost operations"] += abs(expected - counted)

    def sample(self):
        """Bytes, descriptors, threads."""
        process = Path(f"/proc/{self.daemon.process.pid}")
        return self.daemon.resident(), len(os.listdir(process / "fd")), len(os.listdir(process / "task"))

    async def idle(self, before):
        """What there is once nothing is asked; threads without work go after a while."""
        good = lambda now: now[1] - before[1] <= IDLE_FILES and now[2] - before[2] <= IDLE_THREADS
        await until(lambda: good(self.sample()), 30)
        return self.sample()

    def check_idle(self, before, after):
        for at, name, most in [(1, "descriptors", IDLE_FILES), (2, "threads", IDLE_THREADS)]:
            text = f"{name}: {before[at]} when idle before, {after[at]} after"
            print(text)
            self.check(after[at] - before[at] <= most, text)

    def check_growth(self):
        begun, ended = self.samples[0][0], self.samples[-1][0]
        quarter = lambda number: [row for row in self.samples
                                  if number <= (row[0] - begun) / (ended - begun) * 4 <= number + 1]
        kinds = [(1, "bytes", MORE_BYTES), (2, "descriptors", MORE_FILES), (3, "threads", MORE_THREADS)]
        for at, name, most in kinds:
            second, last = (max(row[at] for row in quarter(number)) for number in (1, 3))
            text = f"{name}: at most {second:,} in the second quarter, {last:,} in the last"
            print(text)
            self.check(last - second <= most, f"{text}; {most:,} more are allowed")

    def check(self, holds, failure):
        if not holds:
            self.failures.append(failure)

    def report(self, seconds):
        self.count["operations"] = self.expected.total()
        names = ["operations", "rotations", "reports", "requests", "visits", "snapshots", "lost operations", "lost updates"]
        print(f"{seconds:.0f} s: " + ", ".join(f"{self.count[name]:,} {name}" for name in names))
        for failure, count in collections.Counter(self.failures).most_common(20):
            print(f"failed: {failure} ({count}×)")
        if self.failures:
            print(self.log[-2000:])
        return 1 if self.failures else 0


class Client:
    """A live client: which snapshots it was told of, and when it was told last."""

    def __init__(self, port):
        self.port, self.ids, self.told, self.writer = port, set(), 0, None

    async def talk(self):
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(tools.HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        while True:
            kind, payload = await frame(reader)
            if kind == 9:
                self.send(10, payload)
            elif kind == 8:
                return
            elif kind == 1:
                event = json.loads(payload)
                if event["event"] in ("status", "refresh"):
                    self.ids.add(event["snapshot"])
                    self.told = time.monotonic()

    def say(self, event):
        self.send(1, json.dumps(event).encode())

    def send(self, kind, payload):
        # A client has to mask what it sends; zeros will do.
        if self.writer and len(payload) < 126:
            self.writer.write(bytes([0x80 | kind, 0x80 | len(payload), 0, 0, 0, 0]) + payload)

    def leave(self, politely):
        if politely:
            self.send(8, b"")
        elif self.writer:
            self.writer.transport.abort()


async def frame(reader):
    """Kind and payload of the next frame."""
    first, length = await reader.readexactly(2)
    if length >= 126:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
    return first & 15, await reader.readexactly(length)


def record(wrapper, counter):
    """A line of a log, counted."""
    counter[wrapper] += 1
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    status = random.choice(["success"] * 8 + ["error", "fallback"])
    operation = {"wrapper_name": wrapper, "end_time": end, "duration_ms": round(random.random() * 900, 3),
                 "status": status, "model": f"model-{random.randrange(5)}", "cost_estimate": 0.001}
    return json.dumps(operation).encode() + b"\n"


async def until(holds, seconds):
    """Waits until something holds, and no longer than so."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
