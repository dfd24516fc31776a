"""The API through a client that is made of its OpenAPI document."""

import subprocess
import sys

from daemon import ROOT, Project


def test_the_api_keeps_to_its_document(sample, run, tmp_path):
    """Requests of every kind, good and bad: what is answered is what the document says. The seed is fixed, so that the
    same requests are made each time."""
    sample.environment["DAYFILL__WEB__AUTH"] = "users.toml"
    # Days that are asked for are loaded all the while, and nothing of it is worth keeping.
    token = sample.run("web", "add-token", "tests", "--scope", "write").strip()
    daemon = run(sample)
    daemon.wait_for("2019-04-07: loaded")
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{daemon.url}/api/openapi.json",
            "--header", f"Authorization: Bearer {token}",
            "--exclude-path", "/api/v1/events",  # an answer without an end
            "--checks", "all", "--max-examples", "25", "--seed", "1", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert daemon.process.poll() is None
