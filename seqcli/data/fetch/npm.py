"""A package's archive from an npm registry, found through the user's own npm settings; no script is run.

npm itself is not needed, except to say which registry it uses where no setting says so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from seqcli.data.fetch.download import FetchFailed, Web, without_credentials
from seqcli.files import user_path

_ACCEPT = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"


@dataclass(frozen=True, slots=True)
class NpmSettings:
    """What npm would use: the registry and how to reach it."""

    registry: str
    web: Web


def npm_settings(package: str) -> NpmSettings:
    """npm's settings for a package: ``npm_config_...`` variables over the project's, the user's and the global npmrc.

    Raises:
        FetchFailed: no registry is set and there is no npm to ask.
    """
    values: dict[str, str] = {}
    for path in _config_files():
        values.update(_read_npmrc(path))
    for key, value in os.environ.items():
        if key.lower().startswith("npm_config_") and value:
            values[key[len("npm_config_") :].lower().replace("_", "-")] = value
    scope = package.partition("/")[0] if package.startswith("@") else ""
    registry = (scope and values.get(f"{scope}:registry")) or values.get("registry") or _ask_npm()
    if not registry:
        raise FetchFailed("no npm registry is set (NPM_CONFIG_REGISTRY, or registry= in ~/.npmrc) and there is no npm")
    host = urlsplit(registry).hostname or ""
    secure = values.get("strict-ssl", "true").lower() != "false"
    web = Web(
        proxy=values.get("https-proxy") or values.get("proxy"),
        ca_file=values.get("cafile"),
        insecure_hosts=() if secure else (host,),
        authorization=lambda url: _authorization(values, url),
    )
    return NpmSettings(registry.rstrip("/"), web)


def tarball_url(package: str, version: str, settings: NpmSettings) -> str:
    """The address of a version's archive, as the registry states it.

    Raises:
        FetchFailed: the registry cannot be read or does not have the version.
    """
    page = f"{settings.registry}/{quote(package, safe='@')}"
    _, body = settings.web.page(page, _ACCEPT)
    try:
        return str(json.loads(body)["versions"][version]["dist"]["tarball"])
    except (ValueError, KeyError, TypeError) as error:
        raise FetchFailed(f"{without_credentials(page)} (has no version {version})") from error


def _config_files() -> list[Path]:
    """The npmrc files, the weakest first (npm's documentation, "npmrc")."""
    own = {key.lower(): value for key, value in os.environ.items()}  # npm reads these names in any case
    user, shared = own.get("npm_config_userconfig"), own.get("npm_config_globalconfig")
    places = [Path(shared)] if shared else [Path("/etc/npmrc"), Path("/usr/etc/npmrc"), Path("/usr/local/etc/npmrc")]
    return [*places, Path(user) if user else user_path("~/.npmrc"), Path.cwd() / ".npmrc"]


def _read_npmrc(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    values = {}
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith((";", "#")):
            value = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], ""), value)
            values[key.strip()] = value.strip().strip("\"'")
    return values


def _ask_npm() -> str | None:
    program = shutil.which("npm")
    if program is None:
        return None
    try:
        asked = subprocess.run(
            [program, "config", "get", "registry"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    answer = asked.stdout.strip()
    return answer if urlsplit(answer).scheme in ("http", "https") else None


def _authorization(values: dict[str, str], url: str) -> str | None:
    """The header that npmrc keeps for the longest part of an address: ``//host/path/:_authToken=...``."""
    parts = urlsplit(url)
    place = f"//{parts.netloc}{parts.path}"
    while place != "//":
        prefix = place.rstrip("/") + "/"
        if token := values.get(f"{prefix}:_authToken"):
            return f"Bearer {token}"
        if basic := values.get(f"{prefix}:_auth"):
            return f"Basic {basic}"
        place = place.rstrip("/").rpartition("/")[0]
        if place in ("/", ""):
            return None
    return None
