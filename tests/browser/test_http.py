"""Requests that no browser would make, as they go over the wire."""

import re
import socket
import threading

import pytest

from daemon import PATIENCE, Project

PASSWORD = "correct horse battery"
MIB = 1024 * 1024
ACT = "/api/v1/datasets/shopify_config/actions"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """The sample week behind a login, all loaded but one day."""
    project = Project.sample(tmp_path_factory.mktemp("http") / "sample")
    project.environment["DAYFILL__WEB__AUTH"] = "users.toml"
    project.add_user("ada", "operator", PASSWORD)
    with project.start() as daemon:
        daemon.wait_for("2019-04-07: loaded")
        yield daemon


@pytest.fixture(scope="module")
def slow(daemon):
    """Clients that begin a request and never end it. What is said to each, once that is over, comes of `join`."""
    return [Slow(daemon, begun) for begun in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ")]


class Slow(threading.Thread):
    def __init__(self, daemon, begun: bytes):
        super().__init__(daemon=True)
        self.socket = connect(daemon, begun)
        self.said = None
        self.start()

    def run(self) -> None:
        try:
            self.said = read_all(self.socket)
        except ConnectionResetError:
            self.said = b""
        except TimeoutError:
            pass

    def end(self) -> bytes | None:
        self.join(2 * PATIENCE)
        return self.said


def connect(daemon, text: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", daemon.port), PATIENCE)
    client.sendall(text)
    return client


def read_all(client: socket.socket) -> bytes:
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))


def ask(daemon, method: str, path: str, body: bytes = b"", host: str = "", **headers: str) -> tuple[int, dict, str]:
    """Status, headers (in lower case) and body. An underscore in a header's name is a hyphen on the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{daemon.port}'}", "Connection: close"]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    client = connect(daemon, "\r\n".join(lines).encode() + b"\r\n\r\n")
    try:
        client.sendall(body)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was answered before the end
    head, _, body = read_all(client).decode().partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in rest)}
    return int(first.split()[1]), fields, body


@pytest.fixture(scope="module")
def session(daemon) -> dict:
    """The headers of somebody who is logged in, and looks at a page of ours."""
    form = "application/x-www-form-urlencoded"
    origin = daemon.url
    body = f"name=ada&password={PASSWORD.replace(' ', '+')}&next=/".encode()
    status, headers, _ = ask(daemon, "POST", "/login", body, Origin=origin, Content_Type=form)
    assert status == 303, headers
    cookie = headers["set-cookie"].split(";")[0]
    return {"Cookie": cookie, "Origin": origin, "Content_Type": "application/json"}


DRY = b'{"action": "catch_up", "dry_run": true}'


def test_a_change_needs_a_page_of_ours(daemon, slow, session):
    assert ask(daemon, "POST", ACT, DRY, **session)[0] == 200, "the rest would prove nothing"
    for what, code in [
        ({"Origin": None}, "origin"),
        ({"Origin": "https://evil.example"}, "origin"),
        ({"Origin": "null"}, "origin"),
        ({"Origin": f"http://127.0.0.1:{daemon.port + 1}"}, "origin"),
        ({"Origin": None, "Sec_Fetch_Site": "cross-site"}, "origin"),
        ({"Origin": None, "Referer": "https://evil.example/"}, "origin"),
    ]:
        headers = {name: value for name, value in (session | what).items() if value is not None}
        status, _, body = ask(daemon, "POST", ACT, DRY, **headers)
        assert (status, f'"code":"{code}"' in body) == (403, True), f"{what}: {status} {body}"
    for path in ["/login", "/logout", "/datasets/shopify_config/actions"]:
        headers = session | {"Content_Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
        assert ask(daemon, "POST", path, b"action=pause", **headers)[0] == 403, path


def test_another_name_is_not_answered_to(daemon, slow, session):
    for host in ["evil.example", f"evil.example:{daemon.port}", f"127.0.0.1.evil.example:{daemon.port}"]:
        for path in ["/", "/login", "/api/v1/datasets", "/healthz"]:
            assert ask(daemon, "GET", path, host=host, Cookie=session["Cookie"])[0] == 421, f"{host} {path}"
    two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    none = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    for request in (two, none):
        status = int(read_all(connect(daemon, request)).split()[1])
        assert status in (400, 421), f"{request}: {status}"


def test_what_is_too_large_is_refused(daemon, slow, session):
    large = b'{"action": "catch_up", "dry_run": true, "reason": "' + b"x" * 64 * 1024 + b'"}'
    assert ask(daemon, "POST", ACT, large, **session)[0] == 413
    # Without a length it is counted as it comes.
    lines = [f"POST {ACT} HTTP/1.1", f"Host: 127.0.0.1:{daemon.port}", "Connection: close"]
    lines += ["Transfer-Encoding: chunked"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in session.items()]
    client = connect(daemon, "\r\n".join(lines).encode() + b"\r\n\r\n")
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    client.sendall(chunk * 5 + b"0\r\n\r\n")
    assert int(read_all(client).split()[1]) == 413
    assert ask(daemon, "GET", "/?" + "x" * 20_000)[0] in (414, 431)
    assert ask(daemon, "GET", "/", X_Long="x" * 20_000)[0] == 431
    assert ask(daemon, "GET", "/", **{f"X_{number}": "x" for number in range(100)})[0] == 431


def test_all_event_streams_that_one_user_may_have_are_small(daemon, slow, session):
    request = f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\nCookie: {session['Cookie']}\r\n\r\n"
    open_stream(daemon, request).close()  # what the first one costs, once
    before = daemon.resident()
    streams = [open_stream(daemon, request) for _ in range(60)]
    cost = daemon.resident() - before
    for stream in streams:
        stream.close()
    # 100 KiB each.
    assert cost <= 6 * MIB, f"{cost / MIB:.1f} MiB"


def open_stream(daemon, request: str) -> socket.socket:
    client = connect(daemon, request.encode())
    told = b""
    while b"event: hello" not in told:
        piece = client.recv(65536)
        assert piece, told
        told += piece
    return client


def test_a_client_that_never_ends_its_request_is_cut_off(daemon, slow):
    for client in slow:
        said = client.end()
        assert said is not None, "it is still waited for"
        assert said == b"" or said.startswith(b"HTTP/1.1 408"), said
    assert ask(daemon, "GET", "/healthz")[0] == 200
