"""The API through a client that is made of its OpenAPI document."""

import subprocess
import sys
from pathlib import Path

from daemon import PATIENCE

SETTINGS = Path(__file__).with_name("schemathesis.toml")


def test_the_api_keeps_to_its_document(sample, run, tmp_path):
    """Requests of every kind, good and bad, alone and one after the other: what is answered is what the document says.
    All checks are made but what schemathesis.toml says. The seed is fixed, so that the same requests are made each
    time."""
    sample.environment["DAYFILL__WEB__AUTH"] = "users.toml"
    # Days that are asked for are loaded all the while, and nothing of it is worth keeping.
    token = sample.run("web", "add-token", "tests", "--scope", "write").strip()
    daemon = run(sample)
    daemon.wait_for("2019-04-07: loaded")
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", SETTINGS, "run",
            f"{daemon.url}/api/openapi.json",
            "--header", f"Authorization: Bearer {token}",
            "--exclude-path", "/api/v1/events",  # an answer without an end
            "--max-examples", "25", "--seed", "1", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=10 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert daemon.process.poll() is None
