"""Media files by their names: which suffixes count, and what lies in a folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from seqcli.data.kept import keep_stream
from seqcli.errors import data_error, io_error, reading
from seqcli.files import user_path
from seqcli.lines import source_name
from seqcli.recipe.features import Media

SUFFIXES: dict[Media, tuple[str, ...]] = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    "audio": (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".sph"),
    "video": (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".gif"),
}
"""What counts as such a file in a folder, whatever its case; a file that is named itself may be called anything."""

ANY = tuple(dict.fromkeys(suffix for suffixes in SUFFIXES.values() for suffix in suffixes))


def is_media(name: str, suffixes: Collection[str] = ANY) -> bool:
    """Whether a name ends as that of a media file does, and is not hidden."""
    return os.path.splitext(name)[1].lower() in suffixes and not os.path.basename(name).startswith(".")


def media_files(names: Sequence[str], media: Media) -> list[tuple[Path, str]]:
    """``(file, what to call it)`` of files, and of what lies in folders and below them, in the order of names.

    A file of a folder that is named alone is called by its path from there, any other as it is named; ``-`` or a pipe is
    read into a file.

    Raises:
        UserError: no such file or folder, a folder that cannot be read (74); a folder without such a file (65).
    """
    found: list[tuple[Path, str]] = []
    for name in names:
        kept = keep_stream(name)
        path = kept or user_path(name)
        if path.is_dir():
            inside = _below(path, media)
            found += [(one, (one.relative_to(path) if len(names) == 1 else one).as_posix()) for one in inside]
        elif path.exists():
            found.append((path, source_name(path) if kept else name))
        else:
            raise io_error("there is no such file or folder", file=name)
    return found


def _below(folder: Path, media: Media) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    found: list[Path] = []
    with reading(folder):
        for inner, folders, names in os.walk(folder, onerror=refuse):
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            found += [Path(inner) / name for name in sorted(names) if is_media(name, SUFFIXES[media])]
    if not found:
        raise data_error(f"a folder without {media} files ({', '.join(SUFFIXES[media])})", file=folder)
    return found
