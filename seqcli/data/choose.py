"""What ``NAME|FILE...`` on a command line means: the splits of a catalogue's data set, or files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqcli.data import catalogue
from seqcli.data.corpus import SPLITS, Split, catalogue_split, file_split
from seqcli.data.formats import FRAME_FORMATS, Reading
from seqcli.data.obtain import Progress
from seqcli.errors import did_you_mean, io_error, usage_error


def choose_splits(
    names: Sequence[str], reading: Reading, progress: Progress | None = None
) -> tuple[list[Split], str | None]:
    """The splits to look at, and the tag scheme that the catalogue states for them, when it does.

    One name of the catalogue gives its splits; files give a split each, called by its path, and the first of them is
    what the others are compared with.

    Raises:
        UserError: neither a file nor a data set (74, or 2 where it looks like a name); a download that fails (74).
    """
    if len(names) == 1 and names[0] in catalogue.entries() and not Path(names[0]).is_file():
        entry = catalogue.entry(names[0])
        splits = [catalogue_split(entry, name, reading, progress) for name in SPLITS if name in entry.splits]
        return splits, entry.scheme
    for name in names:
        if not Path(name).expanduser().exists():
            raise _neither(name, alone=len(names) == 1)
    splits = [file_split(name, [name], reading) for name in names]
    for split in splits[1:]:
        if has_frames(split) != has_frames(splits[0]):
            kinds = ["frames" if has_frames(one) else "text" for one in (splits[0], split)]
            raise usage_error(
                f"'{splits[0].name}' holds {kinds[0]} and '{split.name}' {kinds[1]}",
                hint="Look at them one at a time, or say --format.",
            )
    return splits, None


def has_frames(split: Split) -> bool:
    """Whether the sources of a split are frames, not text."""
    return split.reading.format in FRAME_FORMATS


def _neither(name: str, *, alone: bool) -> Exception:
    known = list(catalogue.entries())
    if name in known and not alone:
        return usage_error(f"'{name}' is a data set of the catalogue; name it alone, or name files")
    if "/" in name or "." in name:
        return io_error("there is no such file", file=name)
    hint = did_you_mean(name, known) or f"Data sets: {', '.join(known)}."
    return usage_error(f"'{name}' is neither a file nor a data set of the catalogue", hint=hint)
