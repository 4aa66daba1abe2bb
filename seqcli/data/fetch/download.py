"""Downloads: resumed where they were cut off, used only after the checksum is right, renamed into place at once."""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from seqcli.errors import io_error
from seqcli.files import fsync_folder, sha256_file, writing
from seqcli.version import __version__

Progress = Callable[[str, int, int | None], None]
"""Called with (file, bytes so far, bytes in all or None)."""

ATTEMPTS = 3
"""Tries of a transfer that was cut off or that the server asked to repeat; a server that cannot be reached gets one."""

_TIMEOUT_SECONDS = 20.0
_PAGE_BYTES = 64 * 2**20


class FetchFailed(Exception):
    """One source could not give a file: what was tried and why it failed, in half a line."""


class ChecksumFailed(FetchFailed):
    """A source gave other bytes than the catalogue knows."""


@dataclass(frozen=True, slots=True)
class Web:
    """How to reach servers: what pip's or npm's settings say beyond the environment's proxies and certificates."""

    proxy: str | None = None
    ca_file: str | None = None
    client_certificate: str | None = None
    insecure_hosts: tuple[str, ...] = ()
    authorization: Callable[[str], str | None] = field(default=lambda url: None)

    def open(self, url: str, headers: dict[str, str] | None = None) -> Any:
        """Open a URL and return the response.

        Raises:
            OSError: as urllib raises it (`urllib.error.URLError` and others).
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "file"):
            raise urllib.error.URLError(f"'{parts.scheme}' is no scheme for a download")
        bare = without_credentials(url)
        basic = parts.username and basic_authorization(unquote(parts.username), unquote(parts.password or ""))
        request = urllib.request.Request(bare, headers={"User-Agent": f"seqcli/{__version__}", **(headers or {})})
        if authorization := basic or self.authorization(bare):
            request.add_unredirected_header("Authorization", authorization)  # never handed on to another host
        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=self._context(parts.hostname))
        )
        return opener.open(request, timeout=_TIMEOUT_SECONDS)

    def page(self, url: str, accept: str) -> tuple[str, bytes]:
        """The content type and the body of a page.

        Raises:
            FetchFailed: it could not be read.
        """
        try:
            with self.open(url, {"Accept": accept}) as response:
                return response.headers.get_content_type(), response.read(_PAGE_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchFailed(f"{without_credentials(url)} ({reason_of(error)})") from error

    def _context(self, host: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.client_certificate:
            context.load_cert_chain(self.client_certificate)
        if host in self.insecure_hosts:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    size: int | None = None,
    web: Web | None = None,
    progress: Progress | None = None,
    label: str | None = None,
) -> Path:
    """Fetch ``url`` into ``target``. What arrived before a cut stays beside it and is resumed by the next call.

    Raises:
        FetchFailed: the server could not be reached, said no, or cut the transfer off.
        ChecksumFailed: the bytes are others than expected; they are removed.
        UserError: the folder cannot be written (exit code 74).
    """
    part = target.with_name(f".{target.name}.part")

    def show(done: int, total: int | None) -> None:
        if progress is not None:
            progress(label or target.name, done, total)

    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f".{target.name}.lock")):
            if sha256_or_none(target) != sha256:  # else another process was faster
                _transfer(web or Web(), url, part, sha256, size, show)
                os.replace(part, target)
                fsync_folder(target.parent)
    return target


def _transfer(
    web: Web, url: str, part: Path, sha256: str, size: int | None, show: Callable[[int, int | None], None]
) -> None:
    shown = without_credentials(url)
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(0.3 * attempt)
        resumed = part.stat().st_size if part.exists() else 0
        try:
            with _open_from(web, url, resumed) as response:
                resumed = _receive(response, part, resumed, size, show)
        except _CutOff as error:
            reason = str(error)
            continue
        except urllib.error.HTTPError as error:
            reason = reason_of(error)
            if error.code == 416:  # nothing after what we have: it is complete, or it is of another file
                if sha256_or_none(part) == sha256:
                    return
                part.unlink(missing_ok=True)
            elif error.code not in (408, 429) and error.code < 500:
                raise FetchFailed(f"{shown} ({reason})") from error
            continue
        received = sha256_or_none(part)
        if received == sha256:
            return
        part.unlink(missing_ok=True)
        reason = f"wrong checksum: sha256 {received}, expected {sha256}; the file was removed"
        if not resumed:
            raise ChecksumFailed(f"{shown} ({reason})")
    raise FetchFailed(f"{shown} ({reason})")


class _CutOff(Exception):
    """The transfer began and broke."""


def _open_from(web: Web, url: str, offset: int) -> Any:
    try:
        return web.open(url, {"Range": f"bytes={offset}-"} if offset and not url.startswith("file:") else None)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchFailed(f"{without_credentials(url)} ({reason_of(error)})") from error


def _receive(response: Any, part: Path, offset: int, size: int | None, show: Callable[[int, int | None], None]) -> int:
    """Write the body to ``part``, after what is there when the server goes on from it; return where it went on from."""
    goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    if not (offset and goes_on):
        offset = 0
    length = response.headers.get("Content-Length")
    total = offset + int(length) if length and length.isdecimal() else size
    done = offset
    limit = max(size, total or 0) if size else None
    with part.open("ab" if offset else "wb") as handle:
        show(done, total)
        while data := _read(response):
            handle.write(data)
            done += len(data)
            if limit is not None and done > limit:
                break  # the checksum will say the rest
            show(done, total)
        handle.flush()
        os.fsync(handle.fileno())
    if total is not None and done < total:
        raise _CutOff(f"cut off after {done:,} of {total:,} bytes; what arrived is kept, run again to resume")
    return offset


def _read(response: Any) -> bytes:
    try:
        return bytes(response.read(2**16))
    except (OSError, http.client.HTTPException) as error:
        raise _CutOff(f"cut off: {reason_of(error)}; what arrived is kept, run again to resume") from error


def reason_of(error: BaseException) -> str:
    """Why a request failed, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    inner = getattr(error, "reason", None)
    if isinstance(inner, OSError):
        return inner.strerror or str(inner) or type(inner).__name__
    return str(inner or error) or type(error).__name__


def without_credentials(url: str) -> str:
    """The URL without user name and password, as a message may show it."""
    try:
        parts = urlsplit(url)
    except ValueError:  # it is none
        return url.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def sha256_or_none(path: Path) -> str | None:
    """The SHA-256 of a file; None for what is none."""
    try:
        return sha256_file(path)
    except (FileNotFoundError, IsADirectoryError):
        return None


def basic_authorization(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time fetch a file; where the system has no such lock, go on without."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("wb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise io_error(f"cannot lock: {error.strerror}", file=path) from error
        yield
