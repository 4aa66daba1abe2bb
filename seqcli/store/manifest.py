"""Manifests: the size and SHA-256 of each file of a folder, in a file written last.

A folder whose manifest verifies is whole. Neither safetensors nor JSON notices a flipped bit in a number, so the
manifest covers every byte, its own included.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqcli.errors import UserError, data_error, reading
from seqcli.files import atomic_write, sha256_file

MANIFEST = "manifest.json"
_MAX_BYTES = 4 * 2**20
_PICKLE = re.compile(rb"\x80[\x02-\x05][^\x00]|PK\x03\x04")  # protocols 2 to 5; the zip of torch.save
_TEXT_PICKLE = re.compile(rb"[(\]}l]*c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")  # protocols 0 and 1: c<module>\n<name>\n


@dataclass(frozen=True)
class FileRecord:
    """What a manifest knows of one file."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> FileRecord:
        return cls(len(data), hashlib.sha256(data).hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> FileRecord:
        return cls(path.stat().st_size, sha256_file(path))

    def check(self, path: Path, *, size_only: bool = False) -> None:
        """Compare a file with this record without holding it in memory.

        Raises:
            UserError: missing, of another size or with other bytes (65), or unreadable (74).
        """
        self._check_size(path)
        if size_only:
            return
        with reading(path):
            sha256 = sha256_file(path)
        if sha256 != self.sha256:
            raise _damaged(path)

    def read(self, path: Path) -> bytes:
        """The bytes of a file, compared with this record; raises as `check`."""
        self._check_size(path)
        data = read_bounded(path, self.size)
        if FileRecord.of(data) != self:
            raise _damaged(path)
        return data

    def _check_size(self, path: Path) -> None:
        if not path.is_file():
            raise data_error("missing, although the manifest lists it", file=path)
        size = path.stat().st_size
        if size != self.size:
            raise data_error(f"damaged: {size:,} bytes where the manifest says {self.size:,}", file=path)


@dataclass(frozen=True)
class Manifest:
    """The files of a folder, and what the folder says about itself."""

    files: dict[str, FileRecord]
    about: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The one spelling of this manifest; its last key is the digest of the rest."""
        body: dict[str, Any] = {
            "about": self.about,
            "files": {name: {"size": one.size, "sha256": one.sha256} for name, one in sorted(self.files.items())},
        }
        body["sha256"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def from_bytes(data: bytes, *, file: object) -> Manifest:
        """Read a manifest back.

        Raises:
            UserError: not a manifest, changed since it was written, or it names a file outside its folder (65).
        """
        try:
            body = json.loads(data)
            files = {name: FileRecord(int(one["size"]), str(one["sha256"])) for name, one in body["files"].items()}
            manifest = Manifest(files, dict(body["about"]))
            same = manifest.to_bytes() == data
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise data_error("not a manifest, or a damaged one", file=file) from error
        if not same:
            raise data_error("the manifest was changed or damaged after it was written", file=file)
        for name, record in files.items():
            if not is_plain_name(name) or record.size < 0:
                raise data_error(f"the manifest names {name!r}, which is no file of this folder", file=file)
        return manifest


def is_plain_name(name: str) -> bool:
    """True for the name of a file directly in a folder: no separator, no ``..``, not hidden, printable."""
    return (
        bool(name)
        and name.isprintable()
        and not name.startswith(".")
        and not set(name) & set("/\\:")
        and len(name) <= 255
    )


def is_pickle(head: bytes, *, text: bool = False) -> bool:
    """True when the first bytes of a file are those of a pickle or of the zip file that ``torch.save`` writes.

    ``text`` looks for the oldest protocols too, which are lines of text (a list of words can look like one).
    """
    return _PICKLE.match(head) is not None or (text and _TEXT_PICKLE.match(head) is not None)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder whose other files are on disk already.

    Raises:
        UserError: it cannot be written (74).
    """
    with atomic_write(folder / MANIFEST) as handle:
        handle.write(manifest.to_bytes())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        UserError: it is missing or damaged (65), or cannot be read (74).
    """
    path = folder / MANIFEST
    return Manifest.from_bytes(read_bounded(path, _MAX_BYTES), file=path)


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a file of at most ``limit`` bytes; raises a UserError when it is missing or longer (65)."""
    with reading(path):
        try:
            with path.open("rb") as handle:
                size = os.fstat(handle.fileno()).st_size
                if size > limit:
                    raise data_error(f"{size:,} bytes, more than the {limit:,} it can have", file=path)
                return handle.read(limit)
        except FileNotFoundError as error:
            raise data_error("missing", file=path) from error


def _damaged(path: Path) -> UserError:
    return data_error("damaged: its checksum is not the one in the manifest", file=path)
