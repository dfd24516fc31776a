#!/usr/bin/env python3
"""Measures whole loads, start to exit, against what a careful person does by hand with psql.

    benches/load.py [--only pg,reload,memory,sqlite,small,catchup] [--rows 1000000] [--runs 3]

Builds the release binary, makes days with the example make_days, starts a PostgreSQL cluster of its own and prints a
Markdown report to standard output, and what it is doing to standard error. The parts:

    pg       a day of --rows rows into PostgreSQL, against \\copy of the same rows, already cleaned, into the same table
    reload   that day once more, against delete and \\copy in one transaction
    memory   the peak memory (VmHWM) of that load, and of one five times as large
    sqlite   the same day into SQLite
    small    a day of real size (1,208 rows), the whole process, into tables that are there already
    catchup  365 such days into PostgreSQL

How it is kept fair: the two sides take turns, and who is first alternates; both write to tables of one definition in one
database; before each run comes a checkpoint, and where a run leaves dead rows behind, a vacuum; a median of at least three
runs counts. The cluster has PostgreSQL's defaults, fsync among them, but for the two settings below, which a server that
takes a million rows a day would have.

Needs only Python and PostgreSQL's programs. With --rows 1000000 it takes up to 15 GB below --dir, and about 20 minutes.
"""

import argparse
import os
import platform
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SETTINGS = ["shared_buffers = 256MB", "max_wal_size = 4GB"]
PARTS = ["pg", "reload", "memory", "sqlite", "small", "catchup"]
DAY = "2019-04-01"
WARM_UP_DAY = "2019-04-02"  # makes the tables
REAL_SIZE = 1208
SMALL_RUNS = 20
MIB = 1024 * 1024
# A developer's own settings must not reach what is measured.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("DAYFILL", "PG")) and name not in ("ALGOLIA_DB_URI", "STATE_DIRECTORY")
}


def main():
    arguments = parse_arguments()
    work = Path(tempfile.mkdtemp(prefix="dayfill-bench-", dir=arguments.dir))
    work.chmod(0o711)  # the cluster's user has to get through
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        binaries = build(arguments.binary)
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
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large day (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default %(default)s)")
    parser.add_argument("--dir", default="/var/tmp", help="where the data go: on a disk, not in memory")
    parser.add_argument("--binary", type=Path, help="measure this binary instead of building one")
    parser.add_argument("--keep", action="store_true", help="leave the generated files there")
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if arguments.runs < 3:
        parser.error("a median wants at least 3 runs")
    return arguments


def build(binary):
    """The paths of dayfill and of the generator."""
    make_days = cargo("--example", "make_days") / "examples" / "make_days"
    return build_dayfill(binary), make_days


def build_dayfill(binary):
    """The path of dayfill: of this binary, or of one that is built."""
    return (binary or cargo("--bin", "dayfill") / "dayfill").resolve()


def cargo(*what):
    """Builds it, and gives the folder of the built programs."""
    subprocess.run(["cargo", "build", "--release", *what], cwd=PROJECT, check=True, stdout=sys.stderr)
    return Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")) / "release"


class Cluster:
    """A PostgreSQL cluster of our own. It ends with us, however we end: its keeper sees a pipe close."""

    def __init__(self, root):
        self.root = root
        self.programs = programs()
        owner = {}
        root.mkdir(mode=0o700)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = find_user("postgres", "nobody")
            os.chown(root, user.pw_uid, user.pw_gid)
            owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        script = (PROJECT / "tests/it/support/postgres.sh").read_text()
        log = tempfile.TemporaryFile("w+")
        self.keeper = subprocess.Popen(
            ["/bin/sh", "-c", script, "postgres.sh", self.programs, root, "pipe", *SETTINGS],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True, **owner,
        )
        if self.keeper.stdout.readline() != b"ready\n":
            log.seek(0)
            sys.exit("PostgreSQL did not start:\n" + log.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.keeper.stdin.close()
        self.keeper.wait()

    def url(self, database):
        return f"postgres:///{database}?host={self.root}&user=postgres"

    def psql(self, database, *commands):
        """The psql that runs these commands in one session."""
        arguments = [argument for command in commands for argument in ("-c", command)]
        return [self.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), *arguments]

    def run(self, database, *commands):
        ran = subprocess.run(self.psql(database, *commands), env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True)
        return ran.stdout.strip()


def programs():
    """The folder of PostgreSQL's programs: the one in PATH, or else Debian's newest."""
    in_path = shutil.which("initdb")
    if in_path:
        return Path(in_path).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return debian[-1] if debian else sys.exit("PostgreSQL's server is missing: make install-test-tools")


def find_user(*names):
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    sys.exit(f"no user for the cluster: {' or '.join(names)}")


class Bench:
    def __init__(self, arguments, work, cluster, dayfill, make_days):
        self.rows, self.runs = arguments.rows, arguments.runs
        self.work, self.cluster = work, cluster
        self.dayfill, self.make_days = dayfill, make_days
        self.results = []
        self.fsyncs = fsync_rate(work)
        self.clean = work / "clean" / f"{DAY}.csv"

    # The parts.

    def pg(self):
        self.prepare_large()
        ours, theirs = [], []
        for turn in range(self.runs):
            for side in both(turn):
                if side == "ours":
                    ours.append(self.load_ours())
                else:
                    theirs.append(self.load_theirs())
        self.check_same()
        self.compare(f"a day of {self.rows:,} rows into PostgreSQL, against `\\copy`", ours, theirs, 0.95)

    def reload(self):
        self.prepare_large()
        for table in ("public.algolia_output", "theirs.algolia_output"):
            if self.cluster.run("large", f"select count(*) from {table}") == "0":
                self.load_ours() if table.startswith("public") else self.load_theirs()
        ours, theirs = [], []
        for turn in range(self.runs):
            for side in both(turn):
                schema = "public" if side == "ours" else "theirs"
                self.cluster.run("large", f"vacuum {schema}.algolia_output", "checkpoint")
                if side == "ours":
                    ours.append(self.time(self.command("large", "load", DAY, "--force"), "large"))
                else:
                    delete = f"delete from theirs.algolia_output where file_date = '{DAY}'"
                    theirs.append(self.time(self.cluster.psql("large", "begin", delete, self.copy(), "commit")))
        self.check_same()
        self.compare("the reload of that day, against `delete` and `\\copy` in one transaction", ours, theirs, 1.0)

    def memory(self):
        self.prepare_large()
        self.configure("huge", DAY, WARM_UP_DAY)
        self.generate("huge", DAY, self.rows * 5)
        large, huge = [], []
        for turn in range(self.runs):
            for side in both(turn):
                kind = "large" if side == "ours" else "huge"
                self.empty()
                run = self.time(self.command(kind, "load", DAY), "large")
                (large if kind == "large" else huge).append(run)
        self.empty()
        peaks = [statistics.median(run.peak for run in runs) / MIB for runs in (large, huge)]
        seen = [", ".join(f"{run.peak / MIB:.1f}" for run in runs) for runs in (large, huge)]
        self.result(f"peak memory of loading {self.rows:,} rows", f"{peaks[0]:.1f} MiB ({seen[0]})", "", "at most 32 MiB", peaks[0] <= 32)
        ratio = peaks[1] / peaks[0]
        self.result(f"the same for {self.rows * 5:,} rows", f"{peaks[1]:.1f} MiB ({seen[1]})", f"{ratio:.2f}", "within 10%", abs(ratio - 1) <= 0.1)

    def sqlite(self):
        self.prepare_large()
        runs = []
        for turn in range(self.runs):
            file = self.work / f"large-{turn}.db"
            self.run(self.command("large", "load", WARM_UP_DAY), f"sqlite:{file}")
            os.sync()
            runs.append(self.time(self.command("large", "load", DAY), f"sqlite:{file}"))
            for left in self.work.glob(f"{file.name}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        rate = self.rows / median(runs)
        self.result(f"a day of {self.rows:,} rows into SQLite", f"{rate:,.0f} rows/s; {spread(runs)}", "", "at least 100,000 rows/s", rate >= 100_000)

    def small(self):
        days = self.prepare_year("small")
        file = f"sqlite:{self.work / 'small.db'}"
        self.run(self.command("year", "load", days[0]), file)
        postgres, sqlite = [], []
        for turn, day in enumerate(days[1 : SMALL_RUNS + 1]):
            for side in both(turn):
                if side == "ours":
                    postgres.append(self.time(self.command("year", "load", day), "small"))
                else:
                    sqlite.append(self.time(self.command("year", "load", day), file))
        for name, runs, bar in (("PostgreSQL", postgres, 40), ("SQLite", sqlite, 25)):
            middle = median(runs) * 1000
            times = [run.seconds * 1000 for run in runs]
            seen = f"{middle:.0f} ms ({min(times):.0f} to {max(times):.0f}, {len(runs)} runs)"
            self.result(f"a day of {REAL_SIZE:,} rows into {name}, the whole process", seen, "", f"at most {bar} ms", middle <= bar)

    def catchup(self):
        days = self.prepare_year("year")
        runs = []
        for _ in range(self.runs):
            self.empty("year")
            runs.append(self.time(self.command("year", "catch-up"), "year"))
        loaded = self.cluster.run("year", "select count(distinct file_date) from algolia_output")
        if loaded != str(len(days)):
            sys.exit(f"catch-up loaded {loaded} of {len(days)} days")
        rate = len(days) / median(runs)
        self.result(f"catch-up of {len(days)} days of {REAL_SIZE:,} rows into PostgreSQL", f"{rate:.0f} days/s; {spread(runs)}", "", "at least 80 days/s", rate >= 80)

    # What they stand on.

    def prepare_large(self):
        """Makes the large day, raw and clean, and the two tables, if that has not been done."""
        if self.clean.exists():
            return
        self.configure("large", DAY, WARM_UP_DAY)
        self.generate("large", WARM_UP_DAY, 10)
        self.generate("large", DAY, self.rows)
        self.generate("clean", DAY, self.rows, "--clean")
        self.cluster.run("postgres", "create database large")
        self.run(self.command("large", "load", WARM_UP_DAY), "large")
        self.cluster.run("large", "create schema theirs", "create table theirs.algolia_output (like public.algolia_output including all)")
        self.empty()

    def prepare_year(self, database):
        """Makes a year of days of real size, and a database with the tables; gives the days."""
        if not (self.work / "year").exists():
            self.configure("year", "2018-01-01", "2018-12-31")
            self.generate("year", "2018-01-01", REAL_SIZE, last="2018-12-31")
        days = sorted(path.stem for path in (self.work / "year").glob("*.csv"))
        self.cluster.run("postgres", f"create database {database}")
        self.run(self.command("year", "load", days[0]), database)
        self.cluster.run(database, "vacuum analyze", "checkpoint")
        return days

    def configure(self, name, start, end):
        """A config folder like the sample's, with a schedule of its own."""
        sample = PROJECT / "sample"
        datasets = self.work / name / "datasets"
        datasets.mkdir(parents=True)
        shutil.copy(sample / "dayfill.toml", self.work / name)
        dataset = (sample / "datasets/shopify_config.toml").read_text()
        dataset = re.sub(r"(?m)^start .*$", f"start = {start}", dataset)
        dataset = re.sub(r"(?m)^end .*$", f"end = {end}", dataset)
        (datasets / "shopify_config.toml").write_text(dataset)

    def generate(self, name, day, rows, *more, last=None):
        say(f"making {rows:,} rows a day in {name}")
        command = [self.make_days, "--from", day, "--to", last or day, "--rows", str(rows), "--exact", "--out", self.work / name]
        subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)

    def command(self, name, *arguments):
        return [self.dayfill, "--config", self.work / name / "dayfill.toml", *arguments]

    def copy(self):
        with self.clean.open() as file:
            columns = file.readline().strip()
        return f"\\copy theirs.algolia_output ({columns}) from '{self.clean}' with (format csv, header, null '')"

    def empty(self, database="large"):
        """Both tables empty, no day known, nothing left to be written."""
        self.cluster.run(database, "truncate algolia_output", "truncate processed_days cascade", "checkpoint")
        if database == "large":
            self.cluster.run(database, "truncate theirs.algolia_output", "checkpoint")

    def load_ours(self):
        self.cluster.run("large", "truncate public.algolia_output", "truncate processed_days cascade", "checkpoint")
        return self.time(self.command("large", "load", DAY), "large")

    def load_theirs(self):
        self.cluster.run("large", "truncate theirs.algolia_output", "checkpoint")
        return self.time(self.cluster.psql("large", self.copy()))

    def check_same(self):
        """Nobody is fast by leaving something out."""
        columns = "id, shop_domain, application_id, nbr_metafields, nbrs_pinned_items::text, index_prefix, has_specific_prefix, file_date"
        count = "select count(*), sum(hashtext(({})::text)) from {}.algolia_output"
        ours, theirs = (self.cluster.run("large", count.format(columns, schema)) for schema in ("public", "theirs"))
        if ours != theirs:
            sys.exit(f"the tables differ (rows|hash): {ours} and {theirs}")

    def run(self, command, database):
        self.time(command, database)

    def time(self, command, database=None):
        """Runs a command and measures it."""
        environment = dict(ENVIRONMENT)
        if database:
            environment["DAYFILL__DATABASE__URL"] = database if ":" in database else self.cluster.url(database)
        output = tempfile.TemporaryFile("w+")
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=self.work, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        peak = Peak(process.pid)
        status = process.wait()
        seconds = time.perf_counter() - start
        if status != 0:
            output.seek(0)
            sys.exit(f"exit code {status}: {' '.join(map(str, command))}\n{output.read()}")
        run = Run(seconds, peak.bytes())
        say(f"{seconds:8.3f} s  {run.peak / MIB:6.1f} MiB  {Path(command[0]).name} {' '.join(map(str, command[3:6]))[:60]}")
        return run

    # The report.

    def compare(self, what, ours, theirs, bar):
        ratio = median(ours) / median(theirs)
        seen = f"{spread(ours)} against {spread(theirs)}"
        self.result(what, seen, f"{ratio:.2f}", f"ratio at most {bar:.2f}", ratio <= bar)

    def result(self, what, seen, ratio, bar, met):
        self.results.append((what, seen, ratio, bar, "met" if met else "**missed**"))

    def report(self):
        lines = ["| what | measured: median (all runs) | ratio | bar | |", "| --- | --- | --- | --- | --- |"]
        lines += ["| " + " | ".join(result) + " |" for result in self.results]
        return "\n".join([*lines, "", *self.machine()])

    def machine(self):
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / MIB
        filesystem = subprocess.run(["stat", "-f", "-c", "%T", self.work], stdout=subprocess.PIPE, text=True).stdout.strip()
        version = subprocess.run([self.cluster.programs / "postgres", "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
        return [
            f"- machine: {cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, Linux {platform.release()}",
            f"- disk: {filesystem}, {self.fsyncs:,.0f} fdatasync/s of 8 KiB",
            f"- {version}, {', '.join(SETTINGS)}, otherwise its defaults (fsync on), over its Unix socket",
            f"- {self.runs} runs of each side, taking turns; measured on {time.strftime('%Y-%m-%d')}",
        ]


class Run:
    """One measured run: wall time and peak memory."""

    def __init__(self, seconds, peak):
        self.seconds, self.peak = seconds, peak


class Peak:
    """Follows a process's VmHWM. Not wait4's ru_maxrss: that counts the memory of whoever started the process, too."""

    def __init__(self, pid):
        self.status = f"/proc/{pid}/status"
        self.last = 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        # It only ever grows, so the last value read is the peak, but for what comes in the last few milliseconds.
        while not self.done.wait(0.005):
            try:
                with open(self.status, encoding="ascii") as file:
                    found = re.search(r"VmHWM:\s*(\d+) kB", file.read())
            except OSError:
                return
            if found:
                self.last = int(found[1]) * 1024

    def bytes(self):
        self.done.set()
        self.thread.join()
        return self.last


def both(turn):
    return ("ours", "theirs") if turn % 2 == 0 else ("theirs", "ours")


def median(runs):
    return statistics.median(run.seconds for run in runs)


def spread(runs):
    return f"{median(runs):.2f} s ({', '.join(f'{run.seconds:.2f}' for run in runs)})"


def fsync_rate(folder):
    """About how often a second a block reaches the disk: what a commit costs here."""
    with open(folder / "fsync", "wb", buffering=0) as file:
        file.write(bytes(1024 * 1024))
        os.fsync(file.fileno())
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < 1:
            file.seek(0)
            file.write(bytes(8192))
            os.fdatasync(file.fileno())
            count += 1
        rate = count / (time.perf_counter() - start)
    (folder / "fsync").unlink()
    return rate


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
