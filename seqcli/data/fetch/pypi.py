"""A file of a package index, found through the user's own pip settings and fetched by name; no package code is run.

``pip download`` of a source archive builds its metadata, which runs the package's own code. So the index pages are
read here instead (PEP 503 and PEP 691), with the indexes, links, proxy and certificates that pip is told to use.
"""

from __future__ import annotations

import configparser
import json
import netrc
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from seqcli.data.fetch.download import FetchFailed, Web, basic_authorization, without_credentials
from seqcli.files import user_path

_OPTIONS = ["index-url", "extra-index-url", "find-links", "no-index", "cert", "client-cert", "proxy", "trusted-host"]
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True, slots=True)
class PipSettings:
    """What pip would use: index pages in order, places to look for files, and how to reach servers."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    web: Web


def pip_settings() -> PipSettings:
    """pip's settings: its configuration files (global, user, environment), under the ``PIP_...`` variables."""
    values: dict[str, str] = {}
    for path in _config_files():
        values.update(_read_config(path))
    for key in _OPTIONS:
        if value := os.environ.get("PIP_" + key.upper().replace("-", "_")):
            values[key] = value
    indexes: list[str] = []
    if values.get("no-index", "").lower() not in ("1", "true", "yes", "on"):
        main = values.get("index-url") or _pip_default_index()
        indexes = [*([main] if main else []), *values.get("extra-index-url", "").split()]
    web = Web(
        proxy=values.get("proxy") or None,
        ca_file=values.get("cert") or None,
        client_certificate=values.get("client-cert") or None,
        insecure_hosts=tuple(host.partition(":")[0] for host in values.get("trusted-host", "").split()),
        authorization=_from_netrc,
    )
    return PipSettings(tuple(indexes), tuple(values.get("find-links", "").split()), web)


def locate(package: str, filename: str, settings: PipSettings) -> tuple[list[str], list[str]]:
    """The addresses of a package's file, in the order to try them, and what was looked through in vain."""
    addresses: list[str] = []
    in_vain: list[str] = []
    for place in settings.find_links:
        local = _local_path(place)
        if local is not None and local.is_dir():
            (addresses if (local / filename).is_file() else in_vain).append((local / filename).absolute().as_uri())
        else:
            _look(place, filename, settings.web, addresses, in_vain)
    for index in settings.indexes:
        normal = re.sub(r"[-_.]+", "-", package).lower()
        page = f"{index.rstrip('/')}/{normal}/"
        local = _local_path(page) if urlsplit(page).scheme == "file" else None
        _look(page + "index.html" if local is not None else page, filename, settings.web, addresses, in_vain)
    if not settings.indexes and not settings.find_links:
        in_vain.append("no package index is set (PIP_INDEX_URL)")
    return addresses, in_vain


def links_of(content_type: str, body: bytes, page_url: str) -> Iterator[tuple[str, str]]:
    """Yield ``(file name, address)`` of each file on an index page, JSON (PEP 691) or HTML (PEP 503)."""
    if content_type.endswith("json"):
        for file in json.loads(body).get("files", []):
            yield str(file["filename"]), urljoin(page_url, urldefrag(str(file["url"])).url)
        return
    parser = _Anchors()
    parser.feed(body.decode("utf-8", errors="replace"))
    for href in parser.hrefs:
        address = urljoin(page_url, urldefrag(href).url)
        yield unquote(urlsplit(address).path.rpartition("/")[2]), address


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _look(page: str, filename: str, web: Web, addresses: list[str], in_vain: list[str]) -> None:
    """Look for the file on one page; what fails is said, not raised, for the next page may have it."""
    try:
        content_type, body = web.page(page, _ACCEPT)
        links = [address for name, address in links_of(content_type, body, page) if name == filename]
    except FetchFailed as error:
        in_vain.append(str(error))
        return
    except (ValueError, KeyError, TypeError, AttributeError):
        in_vain.append(f"{without_credentials(page)} (not an index page)")
        return
    if links:
        addresses.append(links[0])
    else:
        in_vain.append(f"{without_credentials(page)} (has no {filename})")


def _local_path(place: str) -> Path | None:
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme in ("http", "https") else user_path(place)


def _config_files() -> list[Path]:
    """pip's configuration files, the weakest first (pip's documentation, "Configuration")."""
    own = os.environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    home = user_path("~")
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    shared = [Path(folder) / "pip" for folder in (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    name = "pip.ini" if os.name == "nt" else "pip.conf"
    if os.name == "nt":
        places = [
            Path(os.environ.get("PROGRAMDATA", "C:/ProgramData")) / "pip",
            home / "pip",
            Path(os.environ.get("APPDATA", home)) / "pip",
        ]
    elif sys.platform == "darwin":
        places = [
            Path("/Library/Application Support/pip"),
            home / ".pip",
            home / "Library/Application Support/pip",
            config_home / "pip",
        ]
    else:
        places = [*reversed(shared), Path("/etc"), home / ".pip", config_home / "pip"]
    return [*(place / name for place in places), Path(sys.prefix) / name, *([Path(own)] if own else [])]


def _read_config(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}  # pip itself complains about it; the other files and the environment may be enough
    values: dict[str, str] = {}
    for section in ("global", "install", "download"):
        if parser.has_section(section):
            values.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return values


def _pip_default_index() -> str | None:
    """The index pip uses when nobody says otherwise, as pip itself states it; None where there is no pip."""
    try:
        from pip._internal.models.index import PyPI  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    return str(PyPI.simple_url)


def _from_netrc(url: str) -> str | None:
    try:
        login = netrc.netrc().authenticators(urlsplit(url).hostname or "")
    except (OSError, netrc.NetrcParseError):
        return None
    return basic_authorization(login[0], login[2] or "") if login else None
