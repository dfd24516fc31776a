#!/usr/bin/env python3
"""Measures the daemon, `dayfill run`: what it takes while nothing happens, how soon it is up, many datasets, and several
daemons beside each other.

    benches/daemon.py [--only idle,start,page,many,several] [--runs 3] [--seconds 60] [--datasets 1000]

Builds the release binary, makes days with the example make_days, starts PostgreSQL clusters of its own and prints a
Markdown report to standard output, and what it is doing to standard error. The parts:

    idle     one dataset, all of its days loaded: memory, CPU time and wake-ups over --seconds
    start    from the start of the process to READY=1 on its NOTIFY_SOCKET, on SQLite
    page     one dataset: how long each page takes, and what 200 readers of its events take
    many     --datasets datasets with ten years of loaded days each: the same, how long it takes to look at all of them, and
             how long their pages take
    several  60 days of 50,000 rows on one PostgreSQL: three daemons against one

Memory is VmRSS. CPU time is the kernel's count for the whole process, threads that ended included. Wake-ups are the
voluntary context switches of all its threads, per second. When a dataset was looked at, and how long that took, is what
the daemon itself says at level debug. How long a page takes is from the request to the last byte of the answer, over
loopback, one request after the other on one connection.

Needs only Python and PostgreSQL's programs, and for `many` about 6 GB below --dir.
"""

import argparse
import contextlib
import csv
import datetime
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is to be left beside this file

import load
from load import ENVIRONMENT, MIB, Cluster, both, say

PARTS = ["idle", "start", "page", "many", "several"]
WEEK = ("2019-04-01", "2019-04-07")
STARTS = 10
REQUESTS = 31  # of each page; the first is not counted
READERS = 200  # of the events
# Ten years that are over, so that nothing is to be loaded whenever this runs.
TEN_YEARS = (datetime.date(2015, 1, 1), datetime.date(2024, 12, 31))
SEVERAL_DAYS, SEVERAL_ROWS = ("2018-01-01", "2018-03-01"), 50_000
PATIENCE = 300  # seconds, for what should take a few


def main():
    arguments = parse_arguments()
    work = Path(tempfile.mkdtemp(prefix="dayfill-bench-", dir=arguments.dir))
    work.chmod(0o711)  # the cluster's user has to get through
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        binaries = load.build(arguments.binary)
        with Cluster(work / "postgres") as cluster:
            bench = Bench(arguments, work, cluster, *binaries)
            for part in arguments.only:
                say(f"== {part}")
                getattr(bench, part)()
            print(bench.report())
    finally:
        if arguments.keep:
            say(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=PARTS, help="parts, with commas between")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind (default %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="how long idling is watched (default %(default)s)")
    parser.add_argument("--datasets", type=int, default=1000, help="datasets of the part many (default %(default)s)")
    parser.add_argument("--on", type=lambda text: text.split(","), default=["sqlite", "postgres"], help="databases of the part many")
    parser.add_argument("--dir", default="/var/tmp", help="where the data go: on a disk, not in memory")
    parser.add_argument("--binary", type=Path, help="measure this binary instead of building one")
    parser.add_argument("--keep", action="store_true", help="leave the generated files there")
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    arguments.rows = 0  # what the large days of load.py have; there are none here
    return arguments


class Bench(load.Bench):
    def __init__(self, arguments, *rest):
        super().__init__(arguments, *rest)
        self.seconds, self.datasets, self.on = arguments.seconds, arguments.datasets, arguments.on
        # Apart from the configurations, beside which the daemon watches for changes.
        self.files = self.work / "files"
        self.files.mkdir()

    # The parts.

    def idle(self):
        self.prepare_week()
        # All at the same time: they do next to nothing, and all get the same noise.
        kinds = {"SQLite": [], "PostgreSQL": []}
        for number in range(self.runs):
            for kind, url in (("SQLite", self.week_file(f"idle{number}")), ("PostgreSQL", self.week_database(f"idle{number}"))):
                kinds[kind].append(self.daemon("week", url))
        daemons = [daemon for same in kinds.values() for daemon in same]
        for daemon in daemons:
            daemon.ready()
        self.watch(daemons)
        for kind, same in kinds.items():
            self.idled(f"idle, one dataset, {kind}", same, (16, 0.1, 6) if kind == "SQLite" else None)

    def start(self):
        self.prepare_week()
        existing = self.week_file("start")
        times = {"existing": [], "fresh": []}
        for turn in range(STARTS):
            for side in both(turn):
                kind = "existing" if side == "ours" else "fresh"
                url = existing if kind == "existing" else f"sqlite:{self.files / f'fresh{turn}.db'}"
                daemon = self.daemon("week", url)
                times[kind].append(daemon.ready() * 1000)
                daemon.stop()
        for kind, seen in times.items():
            self.value(f"start to READY, {kind} SQLite file", seen, "ms", 150)

    def page(self):
        self.prepare_week()
        for kind, url in (("SQLite", self.week_file("page")), ("PostgreSQL", self.week_database("page"))):
            daemon = self.daemon("week", url)
            daemon.ready()
            daemon.looked_at(1)
            for what, path in PAGES.items():
                self.value(f"one dataset, {kind}: {what}", daemon.takes(path.format("shopify_config")), "ms", 10)
            self.value(f"one dataset, {kind}: memory for {READERS} readers of the events", [daemon.read_by(READERS) / MIB], "MiB", 20)
            daemon.stop()

    def many(self):
        self.prepare_many()
        prepare = {"sqlite": self.many_sqlite, "postgres": self.many_postgres}
        urls = {kind: prepare[kind]() for kind in self.on}
        for kind, url in urls.items():
            self.many_starts(kind, url)
        for kind, url in urls.items():
            self.many_ticks(kind, url)
        daemons = {kind: self.daemon("many", url) for kind, url in urls.items()}
        for daemon in daemons.values():
            daemon.ready()
            daemon.looked_at(self.datasets)
        for kind, daemon in daemons.items():
            # Summaries are read after the start, a dataset after the other; then the overview is whole.
            daemon.summarised()
            for what, (path, bar) in PAGES_OF_MANY.items():
                self.value(f"{self.datasets:,} datasets, {kind}: {what}", daemon.takes(path), "ms", bar)
        self.watch(list(daemons.values()))
        for kind, daemon in daemons.items():
            self.idled(f"idle, {self.datasets:,} datasets, {kind}", [daemon], (150, None, None))

    def several(self):
        self.configure("several", *SEVERAL_DAYS)
        self.generate("several", SEVERAL_DAYS[0], SEVERAL_ROWS, last=SEVERAL_DAYS[1])
        days = sorted(path.stem for path in (self.work / "several").glob("*.csv"))
        self.cluster.run("postgres", "create database several")
        self.run(self.command("several", "load", days[0]), "several")
        times = {1: [], 3: []}
        for turn in range(self.runs):
            for side in both(turn):
                count = 1 if side == "ours" else 3
                times[count].append(self.load_all(days, count))
        rates = {count: len(days) / statistics.median(seen) for count, seen in times.items()}
        for count, what in ((1, "one daemon, concurrency 1"), (3, "three daemons, concurrency 2 each")):
            seen = ", ".join(f"{seconds:.2f}" for seconds in times[count])
            self.information(f"{len(days)} days of {SEVERAL_ROWS:,} rows into PostgreSQL, {what}", f"{rates[count]:.1f} days/s ({seen} s)")
        self.information("three daemons against one", "each day has one attempt, which loaded it", f"{rates[3] / rates[1]:.2f}")

    # What they stand on.

    def prepare_week(self):
        if not (self.work / "week").exists():
            self.configure("week", *WEEK)
            self.generate("week", WEEK[0], load.REAL_SIZE, last=WEEK[1])

    def week_file(self, name):
        """A SQLite file with the week loaded."""
        url = f"sqlite:{self.files / name}.db"
        self.run(self.command("week", "catch-up"), url)
        return url

    def week_database(self, name):
        """A PostgreSQL database with the week loaded."""
        self.cluster.run("postgres", f"create database {name}")
        self.run(self.command("week", "catch-up"), name)
        return self.cluster.url(name)

    def prepare_many(self):
        """Config folders of as many datasets: `many`, with a tick twelve hours away, `minute`, with one each minute, and
        `one`, with a single dataset of them, which ticks each second second."""
        self.configure("many", *WEEK)
        first, last = TEN_YEARS
        far = (time.gmtime().tm_hour + 12) % 24
        dataset = (self.work / "many/datasets/shopify_config.toml").read_text()
        dataset = re.sub(r"(?m)^start .*$", f"start = {first}", dataset)
        dataset = re.sub(r"(?m)^end .*$", f"end = {last}", dataset)
        dataset = dataset.replace('"{day}.csv"', f'"{self.work}/days/{{day}}.csv"')
        for name, cron, count in (("many", f"0 {far} * * *", self.datasets), ("minute", "* * * * *", self.datasets), ("one", "*/2 * * * * *", 1)):
            (self.work / name / "datasets").mkdir(parents=True, exist_ok=True)
            shutil.copy(load.PROJECT / "sample/dayfill.toml", self.work / name)
            for number in range(count):
                text = re.sub(r"(?m)^cron .*$", f'cron = "{cron}"', dataset).replace("algolia_output", f"target_{number:04}")
                (self.work / name / f"datasets/dataset_{number:04}.toml").write_text(text)
        (self.work / "many/datasets/shopify_config.toml").unlink()
        # The last days' files are looked at again at each tick.
        (self.work / "days").mkdir()
        for back in range(7):
            (self.work / f"days/{last - datetime.timedelta(back)}.csv").write_text("id\n")

    def many_sqlite(self):
        path = self.files / "many.db"
        url = f"sqlite:{path}"
        self.run(self.command("many", "migrate"), url)
        say(f"writing {self.row_count():,} days into SQLite")
        with sqlite3.connect(path) as database:
            # The key's index grows in a thousand places at once: it has to fit into the cache.
            database.executescript("pragma synchronous = off; pragma cache_size = -1000000")
            places = ", ".join("?" for _ in LOADED_DAY)
            database.executemany(f"insert into processed_days ({', '.join(LOADED_DAY)}) values ({places})", self.loaded_days())
        database.close()
        self.first_start("sqlite", url)
        return url

    def many_postgres(self):
        self.cluster.run("postgres", "create database many")
        self.run(self.command("many", "migrate"), "many")
        say(f"writing {self.row_count():,} days into PostgreSQL")
        copy = self.cluster.psql("many", f"copy processed_days ({', '.join(LOADED_DAY)}) from stdin with (format csv)")
        psql = subprocess.Popen(copy, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        with io.TextIOWrapper(psql.stdin, newline="") as stdin:
            csv.writer(stdin).writerows(self.loaded_days())
        if psql.wait() != 0:
            sys.exit("psql could not copy the days")
        self.cluster.run("many", "vacuum analyze processed_days", "checkpoint")
        self.first_start("postgres", self.cluster.url("many"))
        return self.cluster.url("many")

    def row_count(self):
        return self.datasets * ((TEN_YEARS[1] - TEN_YEARS[0]).days + 1)

    def loaded_days(self):
        """The rows of ten years of loads, in the order in which daily loads write them: all datasets of a day, then the
        next day. So the rows of one dataset are as far apart as they get."""
        first, last = TEN_YEARS
        files = {path.stem: path.stat() for path in (self.work / "days").iterdir()}
        definition = hashlib.sha256(b"definition").hexdigest()
        for number in range((last - first).days + 1):
            day = first + datetime.timedelta(number)
            file = files.get(str(day))
            modified = f"{day + datetime.timedelta(1)} 01:12:33.123456"
            etag = None
            if file:
                # As src/source/local.rs makes it: the file is still the one that was loaded.
                modified = datetime.datetime.fromtimestamp(file.st_mtime, datetime.timezone.utc).replace(tzinfo=None).isoformat(" ", "microseconds")
                etag = f'"{file.st_ino:x}-{file.st_mtime_ns // 1000:x}-{file.st_size:x}"'
            for dataset in range(self.datasets):
                content = hashlib.sha256(b"%d %d" % (number, dataset)).hexdigest()
                second = dataset % 60
                started, finished = (f"{day + datetime.timedelta(1)} 02:00:{second:02}.{micros}" for micros in (104233, 381902))
                yield (
                    f"dataset_{dataset:04}", day.isoformat(), "loaded", 1, f"file://{self.work}/days/{day}.csv", etag or f'"{content[:32]}"',
                    245_713, modified, content, definition, finished, 1208, 64, 0, 1144, started, finished,
                )

    def first_start(self, kind, url):
        """The start that makes the targets."""
        daemon = self.daemon("many", url)
        daemon.ready()
        took = daemon.looked_at(self.datasets)
        daemon.stop()
        self.information(f"{self.datasets:,} datasets, {kind}: the first start, which makes all targets", f"{took:.1f} s")

    def many_starts(self, kind, url):
        ready, looked, plans, memory, cpu = [], [], [], [], []
        for _ in range(self.runs):
            daemon = self.daemon("many", url)
            ready.append(daemon.ready())
            looked.append(daemon.looked_at(self.datasets))
            memory.append(daemon.memory() / MIB)
            cpu.append(daemon.cpu())
            daemon.stop()
            plans += daemon.plans()
        # One dataset alone: how long a plan takes when nothing else wants the machine.
        daemon = self.daemon("one", url)
        daemon.looked_at(10)
        daemon.stop()
        alone = daemon.plans()
        what = f"{self.datasets:,} datasets, {kind}"
        self.value(f"{what}: start to READY", ready, "s")
        self.value(f"{what}: start until all were looked at", looked, "s", 5)
        self.value(f"{what}: CPU time for that", cpu, "s")
        self.value(f"{what}: memory after that", memory, "MiB", 150)
        self.value(f"{what}: one dataset's plan, alone", alone, "ms", 20)
        self.value(f"{what}: one dataset's plan, at the start of all", plans, "ms")

    def many_ticks(self, kind, url):
        """All datasets tick at once: from the tick until the last of them was looked at."""
        daemon = self.daemon("minute", url, "--no-catch-up")
        daemon.ready()
        took, cpu = [], []
        time.sleep(20)
        while len(took) < 2:
            time.sleep(60 - time.time() % 60 - 1)
            before, lines, minute = daemon.cpu(), len(daemon.lines()), 60 * (time.time() // 60 + 1)
            daemon.looked_at(lines + self.datasets)
            took.append(max(daemon.lines()) - minute)
            cpu.append(daemon.cpu() - before)
        daemon.stop()
        what = f"{self.datasets:,} datasets, {kind}, all with a tick in the same minute"
        self.value(f"{what}: until the last was looked at", took, "s")
        self.value(f"{what}: CPU time for that", cpu, "s")

    def load_all(self, days, count):
        """Has so many daemons load the days; seconds from the first start to the last day."""
        self.empty("several")
        self.cluster.run("several", "truncate load_attempts", "checkpoint")
        begun = time.time()
        concurrency = {"DAYFILL__CATCH_UP__CONCURRENCY": "1" if count == 1 else "2"}
        daemons = [self.daemon("several", self.cluster.url("several"), variables=concurrency) for _ in range(count)]
        until = time.time() + PATIENCE
        while self.cluster.run("several", "select count(*) from processed_days where state = 'loaded'") != str(len(days)):
            if time.time() > until:
                sys.exit("the daemons did not load all days")
            time.sleep(0.5)
        for daemon in daemons:
            daemon.stop()
        ended = float(self.cluster.run("several", "select extract(epoch from max(loaded_at)) from processed_days"))
        attempts = self.cluster.run("several", "select count(*), count(distinct day), count(*) filter (where outcome = 'loaded') from load_attempts")
        if attempts != "|".join([str(len(days))] * 3):
            sys.exit(f"not each day was loaded by one attempt (attempts|days|loaded): {attempts}")
        say(f"{ended - begun:8.3f} s  {count} daemons")
        return ended - begun

    def daemon(self, name, url, *arguments, variables=None):
        return Daemon(self.files, self.command(name, "run", *arguments), url, variables or {})

    def watch(self, daemons):
        """Sees what daemons take while nothing happens, and stops them."""
        time.sleep(5)  # what belongs to the start is over
        for daemon in daemons:
            daemon.begin_watching()
        time.sleep(self.seconds)
        for daemon in daemons:
            daemon.end_watching()
            daemon.stop()

    # The report.

    def idled(self, what, daemons, bars):
        memory, cpu, wakes = bars or (None, None, None)
        self.value(f"{what}: memory", [daemon.resident / MIB for daemon in daemons], "MiB", memory)
        self.value(f"{what}: CPU", [daemon.busy * 100 for daemon in daemons], "% of a core", cpu)
        self.value(f"{what}: wake-ups", [daemon.wakes for daemon in daemons], "/s", wakes)

    def value(self, what, seen, unit, bar=None):
        """The median of what was seen, against a bar that it should not pass."""
        middle = statistics.median(seen)
        digits = 3 if middle < 1 and unit != "ms" else 1 if middle < 100 else 0
        runs = ", ".join(f"{one:.{digits}f}" for one in seen) if len(seen) <= 3 else f"{min(seen):.{digits}f} to {max(seen):.{digits}f}, {len(seen):,} runs"
        text = f"{middle:.{digits}f} {unit} ({runs})"
        if bar is None:
            self.information(what, text)
        else:
            say(f"{what}: {text}, bar {bar}")
            self.result(what, text, "", f"at most {bar} {unit}", middle <= bar)

    def information(self, what, seen, ratio=""):
        say(f"{what}: {seen} {ratio}")
        self.results.append((what, seen, ratio, "", ""))


# The columns of a loaded day that are not null.
LOADED_DAY = [
    "dataset", "day", "state", "attempts", "source_url", "source_etag", "source_bytes", "source_modified", "source_hash",
    "definition_hash", "loaded_at", "rows_read", "rows_filtered", "rows_rejected", "rows_loaded", "started_at", "finished_at",
]


# What is asked for of one dataset.
PAGES = {
    "overview": "/",
    "the dataset's page": "/datasets/{}",
    "a day's page": f"/datasets/{{}}/days/{WEEK[0]}",
    "a dry run": f"/datasets/{{}}/dry-run?action=reload&from={WEEK[0]}&to={WEEK[1]}",
    "daemons": "/daemons",
    "configuration": "/configuration",
    "actions": "/activity-log",
    "API, datasets": "/api/v1/datasets",
    "API, a week of days": f"/api/v1/datasets/{{}}/days?from={WEEK[0]}&to={WEEK[1]}",
    "API, a day": f"/api/v1/datasets/{{}}/days/{WEEK[0]}",
}
# What is asked for where datasets are many, and how long it may take, in milliseconds.
PAGES_OF_MANY = {
    "overview": ("/", 150),
    "a dataset's page, ten years of days": ("/datasets/dataset_0500", 100),
    "a day's page": (f"/datasets/dataset_0500/days/{TEN_YEARS[1]}", None),
    "API, datasets": ("/api/v1/datasets", None),
}


class Daemon:
    """A running daemon, what it logs and what it tells its service manager."""

    count = 0

    def __init__(self, work, command, url, variables):
        Daemon.count += 1
        self.log = work / f"daemon{Daemon.count}.log"
        self.seen, self.rest = [], 0
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(work / f"notify{Daemon.count}"))
        environment = {**ENVIRONMENT, **variables, "DAYFILL__DATABASE__URL": url, "NOTIFY_SOCKET": manager.getsockname()}
        environment |= {"DAYFILL__LOG__LEVEL": "debug", "DAYFILL__LOG__FORMAT": "json"}
        # With its page, on a port of its own: several run at once.
        environment |= {"DAYFILL__WEB__LISTEN": "127.0.0.1:0"}
        self.is_ready, self.took = threading.Event(), None
        # A service manager that does not listen would hold the daemon up.
        threading.Thread(target=self.listen, args=(manager,), daemon=True).start()
        with self.log.open("w") as log:
            self.begun, self.begun_at = time.perf_counter(), time.time()
            self.process = subprocess.Popen(command, cwd=work.parent, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def listen(self, manager):
        while message := manager.recv(4096):
            if b"READY=1" in message and not self.is_ready.is_set():
                self.took = time.perf_counter() - self.begun
                self.is_ready.set()
            if b"STOPPING=1" in message:
                break
        manager.close()

    def ready(self):
        """Seconds from its start to READY=1."""
        while not self.is_ready.wait(0.1):
            if self.process.poll() is not None:
                sys.exit(f"the daemon ended:\n{self.log.read_text()[-4000:]}")
        return self.took

    def looked_at(self, count):
        """Waits until it said so often that it looked at a dataset; seconds from its start to the last of these."""
        until = time.time() + PATIENCE
        while len(self.lines()) < count:
            if time.time() > until or self.process.poll() is not None:
                sys.exit(f"it looked at {len(self.seen)} of {count} datasets:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.2)
        return max(self.lines()[:count]) - self.begun_at

    def lines(self):
        """When it said that it looked at a dataset."""
        with self.log.open() as log:
            log.seek(self.rest)
            text = log.read()
        whole = text[: text.rfind("\n") + 1]
        self.rest += len(whole.encode())
        for line in whole.splitlines():
            if '"days":' in line:
                line = json.loads(line)
                self.seen.append((datetime.datetime.fromisoformat(line["time"]).timestamp(), line["elapsed_ms"]))
        return [at for at, _ in self.seen]

    def plans(self):
        """How long it took to look at each dataset, milliseconds."""
        self.lines()
        return [elapsed for _, elapsed in self.seen]

    # Its page.

    def address(self):
        """Where its page is."""
        until = time.time() + PATIENCE
        while not (found := re.search(r"web UI at http://([\d.]+):(\d+)/", self.log.read_text())):
            if time.time() > until:
                sys.exit(f"its page is nowhere:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)
        return found[1], int(found[2])

    def takes(self, path):
        """How long it takes to get what is there, milliseconds."""
        took = []
        connection = http.client.HTTPConnection(*self.address(), timeout=PATIENCE)
        with contextlib.closing(connection):
            for _ in range(REQUESTS):
                begun = time.perf_counter()
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                took.append((time.perf_counter() - begun) * 1000)
                if answer.status != 200:
                    sys.exit(f"{path}: {answer.status} {body[:1000]}")
        return took[1:]

    def summarised(self):
        """Waits until it has counted the days of all datasets."""
        until = time.time() + PATIENCE
        connection = http.client.HTTPConnection(*self.address(), timeout=PATIENCE)
        with contextlib.closing(connection):
            while True:
                connection.request("GET", "/api/v1/datasets")
                datasets = json.load(connection.getresponse())["datasets"]
                if all(dataset["counts"] is not None for dataset in datasets):
                    return
                if time.time() > until:
                    sys.exit("it did not count the days of all datasets")
                time.sleep(1)

    def read_by(self, readers):
        """How much memory it takes more, in bytes, when so many read its events."""
        before = self.memory()
        with contextlib.ExitStack() as connections:
            for _ in range(readers):
                connection = connections.enter_context(contextlib.closing(http.client.HTTPConnection(*self.address())))
                connection.request("GET", "/api/v1/events")
                answer = connection.getresponse()
                answer.read(1)
                connections.enter_context(answer)
            return self.memory() - before

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            sys.exit("the daemon did not stop")

    # What it takes.

    def memory(self):
        return self.status("VmRSS", f"/proc/{self.process.pid}") * 1024

    def cpu(self):
        """Seconds of CPU time: the clock of another process (CPUCLOCK_SCHED in the kernel's words) is finer than the ticks
        of /proc/PID/stat."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def switches(self):
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(self.status("voluntary_ctxt_switches", task) for task in tasks)

    @staticmethod
    def status(name, folder):
        try:
            return int(re.search(rf"(?m)^{name}:\s*(\d+)", Path(folder, "status").read_text())[1])
        except FileNotFoundError:  # a thread that just ended
            return 0

    def begin_watching(self):
        self.watched = (time.perf_counter(), self.cpu(), self.switches())

    def end_watching(self):
        since, cpu, switches = self.watched
        seconds = time.perf_counter() - since
        self.resident = self.memory()
        self.busy, self.wakes = (self.cpu() - cpu) / seconds, (self.switches() - switches) / seconds


if __name__ == "__main__":
    main()
