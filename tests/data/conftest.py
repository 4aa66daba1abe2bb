"""A small web server that can be told to misbehave, and a cache of its own for each test."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
_MIRROR = os.environ.get("SEQCLI_MIRROR") or (str(SHARED) if SHARED.is_dir() else None)


@dataclass
class Server:
    """Pages by path; ``cut`` ends a body after so many bytes, as often as said; ``seen`` keeps (path, Range, auth)."""

    url: str = ""
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    seen: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def put(self, path: str, body: bytes, kind: str = "application/octet-stream") -> str:
        self.pages[path] = (kind, body)
        return self.url + path


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.seen.append((self.path, wanted, self.headers.get("Authorization")))
            if self.path not in state.pages:
                self.send_error(404)
                return
            kind, body = state.pages[self.path]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if start and start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            cuts = state.cut.get(self.path)
            self.wfile.write(body[start : start + cuts.pop(0)] if cuts else body[start:])

        def log_message(self, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path, monkeypatch):
    """No test sees the machine's cache, mirror, proxies or package settings."""
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "cache"))
    for name in ("SEQCLI_MIRROR", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def mirror(own_surroundings, monkeypatch) -> str:
    """The folder of real data sets, where there is one."""
    if not _MIRROR:
        pytest.skip("needs the real data sets: set SEQCLI_MIRROR")
    monkeypatch.setenv("SEQCLI_MIRROR", _MIRROR)
    return _MIRROR
