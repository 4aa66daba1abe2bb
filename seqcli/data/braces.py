"""Paths with braces, ``train.{en,de}``: the names of files that belong together."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from seqcli.errors import usage_error

_BRACES = re.compile(r"[{}]")
_GROUP = re.compile(r"([^{}]*)\{([^{}]*)\}([^{}]*)", re.DOTALL)
_EXPECTED = "Expected is one group of two names or more, the source's first: 'train.{en,de}'."


def is_parallel(path: str) -> bool:
    """Whether a path names parallel files: it has braces, and no file is called so."""
    return bool(_BRACES.search(path)) and not os.path.exists(os.path.expanduser(path))


def named_files(name: str) -> list[str]:
    """The files that a name of the catalogue stands for."""
    return parallel_files(name) if "{" in name else [name]


def parallel_files(path: str) -> list[str]:
    """The files that a path with braces names, the source's first.

    Raises:
        UserError: no braces, several groups of them, or a group of one name (2).
    """
    if not _BRACES.search(path):
        raise usage_error("parallel text has two files or more and this names one", file=path, hint=_EXPECTED)
    if (group := _GROUP.fullmatch(path)) is None:
        what = "several groups of braces" if path.count("{") > 1 else "a brace without its other half"
        raise usage_error(f"{what} in a path", file=path, hint=_EXPECTED)
    before, inside, after = group.groups()
    names = inside.split(",")
    if len(names) < 2 or not all(names):
        what = "an empty name" if len(names) > 1 else "one name alone"
        raise usage_error(f"{what} in the braces of a path", file=path, hint=_EXPECTED)
    return [f"{before}{name}{after}" for name in names]


def joint_path(files: Sequence[Path], path: Path) -> Path:
    """``path`` where its braces name these ``files``; else another one that does."""
    same = parallel_files(str(path)) == [*map(str, files)]
    return path if same else Path(f"{{{','.join(map(str, files))}}}")
