"""Recordings unpacked from an archive whose members say in their names what is spoken, and the lists of each split."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from seqcli.data.catalogue import Unpacked
from seqcli.data.fetch.archives import all_members, read_member, reading_archive
from seqcli.files import atomic_write, writing

_LARGEST = 2**26
"""Bytes of a recording beyond which none is unpacked."""


def unpack(rule: Unpacked, archive: Path, folder: Path) -> dict[str, str]:
    """Write the recordings of ``archive`` into a folder of ``folder``; returns the manifest of each split by its name.

    Raises:
        UserError: a damaged archive, a member that is a link or too large (74).
    """
    pattern = re.compile(rule.member)
    texts: dict[str, str] = {}
    with writing(folder / rule.folder):
        (folder / rule.folder).mkdir(parents=True, exist_ok=True)
    with reading_archive(archive):
        for member in all_members(archive):
            name = PurePosixPath(member.name).name
            if (match := pattern.fullmatch(name)) is None:
                continue
            texts[name] = " ".join(rule.words[letter] for letter in match[1] if letter in rule.words)
            with atomic_write(folder / rule.folder / name) as handle:
                handle.write(read_member(member, _LARGEST))
    return divided(rule, texts)


def divided(rule: Unpacked, texts: Mapping[str, str]) -> dict[str, str]:
    """The manifest of each split: ``path TAB text`` lines, in the order of the names."""
    names = sorted(texts)
    made: dict[str, list[str]] = {file: [] for file in rule.makes()}
    for file, (begin, end) in rule.share.items():
        made[file] = names[int(begin * len(names)) : int(end * len(names))]
    for name in names if rule.take else ():
        for file in [file for file, pattern in rule.take.items() if re.search(pattern, name)][:1]:
            made[file].append(name)
    return {file: "".join(f"{rule.folder}/{name}\t{texts[name]}\n" for name in chosen) for file, chosen in made.items()}
