"""Pairs of texts out of packages: what stands under one key in a source's file and in a target's is a pair."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from seqcli.data.catalogue import EMBEDDED
from seqcli.data.fetch.archives import Member, read_member

_PARAGRAPH = re.compile(r'<(p|h[1-6])\b[^>]*?\bid="((?:par|hd|bm)_[^"]*)"[^>]*>(.*?)</\1>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_WORD = re.compile("[A-Za-z]{2}")
_MEMBER_BYTES = 2**24

Texts = dict[str, str]


def paragraphs(text: str) -> Texts:
    """The paragraphs and headings of a page of HTML by their id, without tags."""
    found: Texts = {}
    for _, key, inner in _PARAGRAPH.findall(text):
        found.setdefault(key, html.unescape(_TAG.sub("", inner)))
    return found


def strings(text: str) -> Texts:
    """The strings of a JSON object by the path of their keys."""
    found: Texts = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}.{key}")
        elif isinstance(value, str):
            found[path] = value

    walk(json.loads(text), "")
    return found


_READERS: Mapping[str, Callable[[str], Texts]] = {"html": paragraphs, "json": strings}


class Pairs:
    """Files of a source and of a target that have one name but for the language.

    ``read``: html or json. ``source`` and ``target`` are the names of members, ``*`` in them the page. ``order`` names
    a file of pages that come first, in its order; all others come behind, in the order of their names. ``without`` is a
    pattern: pairs in which it is found are left out.
    """

    def __init__(
        self, read: str, source: str, target: str, order: str | None = None, without: str | None = None
    ) -> None:
        self.read = _READERS[read]
        self.sides = [_page_pattern(source), _page_pattern(target)]
        self.first = (EMBEDDED / order).read_text(encoding="utf-8").split("\n") if order else []
        self.without = re.compile(without) if without else None
        self.pages: tuple[dict[str, Texts], dict[str, Texts]] = ({}, {})

    def add(self, members: Iterable[Member]) -> None:
        """Read the members that are pages of either side."""
        for member in members:
            for pattern, pages in zip(self.sides, self.pages, strict=True):
                if member.is_plain and (match := pattern.fullmatch(member.name)):
                    pages[match[1]] = self.read(read_member(member, _MEMBER_BYTES).decode("utf-8"))

    def lines(self) -> Iterator[str]:
        """Yield ``source TAB target TAB page``, white space joined.

        Left out are source texts without two letters, such as ``2 * x``, those that stood there before, and what is
        equal on both sides.
        """
        sources, targets = self.pages
        place = {page: number for number, page in enumerate(self.first)}
        seen = set()
        for page in sorted(sources, key=lambda page: (place.get(page, len(place)), page)):
            for key, text in sources[page].items():
                source, target = " ".join(text.split()), " ".join(targets.get(page, {}).get(key, "").split())
                if not target or source == target or source in seen or not _WORD.search(source):
                    continue
                if self.without is None or not (self.without.search(source) or self.without.search(target)):
                    seen.add(source)
                    yield f"{source}\t{target}\t{page}"


def _page_pattern(member: str) -> re.Pattern[str]:
    before, _, after = member.partition("*")
    return re.compile(f"{re.escape(before)}(.*){re.escape(after)}", re.DOTALL)
