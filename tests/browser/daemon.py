"""A project in a temporary folder, and the real daemon on it."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "dayfill"

# The longest that anything is waited for, in seconds. Nothing is held against it but a hang.
PATIENCE = 30

# What a developer may have set for a project of their own.
FOREIGN = ("DAYFILL", "ALGOLIA_DB_URI", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY")


class Project:
    """A folder with a main file, datasets and days."""

    def __init__(self, folder: Path, main: str = ""):
        self.folder = folder
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        (folder / "datasets").mkdir(parents=True)
        self.write("dayfill.toml", 'datasets = "datasets"\n' + main)

    @classmethod
    def sample(cls, folder: Path, source: Path = ROOT / "sample") -> "Project":
        """The sample week, with a database of its own. Whoever tries the sample meanwhile has a database beside it, with
        files that come and go: these are left."""
        project = cls(folder)
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.db*", ".*"))
        return project

    def write(self, name: str, text: str) -> None:
        """Puts a file in place whole."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        part = path.with_name("." + path.name + ".part")
        part.write_text(text)
        part.rename(path)

    def run(self, *arguments: str, text: str = "", ok: tuple = (0,)) -> str:
        """Runs a command to its end; `text` is its standard input. What it prints comes back."""
        done = subprocess.run(
            [PROGRAM, "--config", "dayfill.toml", *arguments],
            cwd=self.folder, env=self.environment, input=text, capture_output=True, text=True, timeout=2 * PATIENCE,
        )
        assert done.returncode in ok, f"{arguments} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def add_user(self, name: str, role: str, password: str) -> None:
        self.run("web", "add-user", name, "--role", role, text=password + "\n")

    def start(self, *arguments: str, port: int = 0) -> "Daemon":
        return Daemon(self, arguments, port)


class Daemon:
    """`dayfill run`, until the end of the `with` block."""

    def __init__(self, project: Project, arguments: tuple, port: int):
        environment = project.environment | {"DAYFILL__WEB__LISTEN": f"127.0.0.1:{port}"}
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(
            [PROGRAM, "--config", "dayfill.toml", "run", *arguments],
            cwd=project.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self.url = self.wait_for(r"web UI at (http://[\d.:]+)/").group(1)
            self.wait_until_read()
        except AssertionError:
            self.kill()
            raise
        self.port = int(self.url.rsplit(":", 1)[1])

    def _read(self) -> None:
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_until_read(self) -> None:
        """Waits until the days of all datasets were read: pages that come sooner say that they were not. Where users are
        asked for, metrics are not for everybody, and that the database answers has to do."""
        def is_read() -> bool:
            try:
                with urllib.request.urlopen(f"{self.url}/metrics", timeout=PATIENCE) as answer:
                    metrics = answer.read().decode()
            except urllib.error.HTTPError:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=PATIENCE) as answer:
                    return answer.status == 200
            known, told = (set(re.findall(rf'^{name}{{dataset="(.*?)"', metrics, re.MULTILINE))
                           for name in ["dayfill_dataset_paused", "dayfill_day_missing"])
            return known != set() and known == told

        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(urllib.error.HTTPError):
                if is_read():
                    return
            assert time.monotonic() < end, f"not all datasets were read:\n{''.join(self.lines)}"
            time.sleep(0.02)

    def wait_for(self, pattern: str) -> re.Match:
        """Waits until a line of the log has this."""
        def found():
            return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

        with self.changed:
            self.changed.wait_for(lambda: found() or self.ended, PATIENCE)
            match = found()
            assert match, f"no line of the log has {pattern}:\n{''.join(self.lines)}"
            return match

    def resident(self) -> int:
        """Bytes of memory that it has resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
