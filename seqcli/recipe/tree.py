"""YAML text -> a tree of values that remember where they were written, under rules of our own.

Read from the parser's events, one at a time and without recursion, so that a file of a million brackets ends in a
message. What YAML would do in silence is refused here: of two equal keys the last wins, an alias copies, a tag
constructs. Plain scalars follow `plain_scalar`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from seqcli.errors import UserError, usage_error

Origin = Literal["default", "file", "--set"]

MAX_DEPTH = 32
"""Deepest nesting of lists and mappings in a recipe; the schema itself needs six."""

MAX_ERRORS = 100
"""Most errors told of one recipe: what has more is something else, and the time to explain stays short."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "yes": True,
    "on": True,
    "false": False,
    "no": False,
    "off": False,
    ".nan": float("nan"),
}
_WORDS |= {sign + ".inf": float(sign + "inf") for sign in ("", "+", "-")}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_DIGITS = 40


@dataclass(frozen=True)
class Document:
    """A text that nodes come from: the recipe file, or the value of one ``--set`` (or a default beside it)."""

    name: str
    text: str
    origin: Origin = "file"

    def error(self, message: str, index: int | None = None, hint: str | None = None) -> UserError:
        """A usage error at the character ``index`` of the text (a ``--set`` is named without line and column)."""
        line, column = (None, None) if index is None or self.origin != "file" else self.position(index)
        return usage_error(message, file=self.name, line=line, column=column, hint=hint)

    def position(self, index: int) -> tuple[int, int]:
        """Line and column of a character, both from 1; a line ends at ``\\n``."""
        index = min(index, len(self.text))
        return self.text.count("\n", 0, index) + 1, index - self.text.rfind("\n", 0, index)


@dataclass(slots=True)
class Node:
    """A value and where it stands: a scalar, a ``dict`` of nodes or a ``list`` of nodes."""

    value: Any
    document: Document
    index: int
    """First character of the value in the document's text."""
    key_index: int | None = None
    """First character of its key, where it stands in a mapping."""
    written: str | None = None
    """A scalar's own text."""
    quoted: bool = False
    broken: bool = False
    """Already reported: what the schema says about it is of no interest."""

    @property
    def origin(self) -> Origin:
        return self.document.origin

    def plain(self) -> Any:
        """The value alone: scalars, dicts and lists."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, name: str | int) -> Node | None:
        """What stands under a key, or at a place of a list; None where nothing does."""
        if isinstance(self.value, list) and isinstance(name, int) and name < len(self.value):
            item: Node = self.value[name]
            return item
        return self.value.get(name) if isinstance(self.value, dict) else None

    def error(self, message: str, hint: str | None = None) -> UserError:
        """An error that points at a scalar or a list itself, at the key of a section."""
        at_key = isinstance(self.value, dict) and self.key_index is not None
        return self.document.error(message, self.key_index if at_key else self.index, hint)

    def key_error(self, message: str, hint: str | None = None) -> UserError:
        return self.document.error(message, self.key_index, hint)


def plain_scalar(text: str) -> Any:
    """Value of an unquoted scalar: null, a boolean, a number or, if it is none of these, the text itself.

    ``1e-3`` is a number (YAML 1.1 makes it a text), ``12:30`` and ``2024-01-01`` are texts (it makes them 750 and a
    date), ``007`` is a text (it makes it octal); ``yes``, ``no``, ``on`` and ``off`` are booleans, as they are there.
    """
    lower = text.lower()
    if lower in _WORDS and text in (lower, text.upper(), text.capitalize()):  # null, Null, NULL
        return _WORDS[lower]
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text) and ("." in text or "e" in text or "E" in text):
        return float(text.replace("_", ""))
    return text


def parse(document: Document) -> tuple[Node | None, list[UserError]]:
    """The tree of a text, and everything that is wrong with it as YAML (all of it, in order; exit code 2).

    The tree is None where the text has none: it is empty, or the error is one that nothing can be read after.
    """
    builder = _Builder(document)
    try:
        for event in yaml.parse(document.text, Loader=_LOADER):
            builder.take(event)
    except _Stop:
        return None, builder.errors
    except yaml.YAMLError as error:
        return None, [*builder.errors, _syntax_error(document, error)]
    return builder.root, builder.errors


class _Stop(Exception):
    """An error that nothing can be read after."""


class _Builder:
    """Takes parser events in turn and builds the tree; ``root`` is its top."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.root: Node | None = None
        self.errors: list[UserError] = []
        self._open: list[tuple[Node, Node | None]] = []  # each open collection, and a mapping's key that waits
        self._begun = 0

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        index = 0 if mark is None else mark.index
        if isinstance(event, yaml.DocumentStartEvent):
            self._begun += 1
            if self._begun > 1:
                self._fail(
                    "a second document begins here; a recipe is one document", index, "Remove the '---'.", stop=True
                )
        elif isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event, index))
        elif isinstance(event, yaml.AliasEvent):
            self._fail(f"alias '*{event.anchor}': recipes have no aliases", index, "Write the value out.")
            self._add(Node(None, self.document, index, broken=True))
        elif isinstance(event, yaml.CollectionStartEvent):
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._begin(Node(value, self.document, index, broken=self._odd(event, index)))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()

    def _scalar(self, event: yaml.ScalarEvent, index: int) -> Node:
        text, quoted = event.value, not event.implicit[0]
        node = Node(text, self.document, index, written=text, quoted=quoted, broken=self._odd(event, index))
        if quoted or node.broken:
            return node
        if len(text) > _MAX_DIGITS and text.strip("+-_0123456789.eE") == "":
            self._fail(f"a number of {len(text)} characters", index, "Put it in quotes if it is a text.")
            node.broken = True
            return node
        node.value = plain_scalar(text)
        return node

    def _odd(self, event: Any, index: int) -> bool:
        """Report an anchor or a tag."""
        if event.tag is not None:
            short = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._fail(
                f"tag '{short}': recipes are plain data, without tags",
                index,
                "Take the tag off; a text is put in quotes.",
            )
        elif event.anchor is not None:
            self._fail(f"anchor '&{event.anchor}': recipes have no anchors and aliases", index, "Write the value out.")
        return event.tag is not None or event.anchor is not None

    def _begin(self, node: Node) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._fail(
                f"nested deeper than {MAX_DEPTH} levels", node.index, "A recipe is flatter than that.", stop=True
            )
        self._add(node)
        self._open.append((node, None))

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        parent, key = self._open[-1]
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif key is None:
            if node.written is None and not node.broken:
                self._fail("a key is a word, not a list or a mapping", node.index)
                node.broken = True
            self._open[-1] = (parent, node)
        else:
            self._open[-1] = (parent, None)
            self._put(parent, key, node)

    def _put(self, parent: Node, key: Node, node: Node) -> None:
        node.key_index = key.index
        name = key.written
        if key.broken or name is None:
            return
        if name in parent.value:
            first = self.document.position(parent.value[name].key_index)[0]
            self._fail(f"duplicate key '{name}', first given in line {first}", key.index, "Keep one of the two.")
            return
        parent.value[name] = node

    def _fail(self, message: str, index: int, hint: str | None = None, *, stop: bool = False) -> None:
        self.errors.append(self.document.error(message, index, hint))
        if stop or len(self.errors) >= MAX_ERRORS:
            raise _Stop


def _syntax_error(document: Document, error: yaml.YAMLError) -> UserError:
    if bad := _UNPRINTABLE.search(document.text):
        return document.error(f"control character U+{ord(bad[0]):04X}", bad.start(), "Remove it.")
    problem = getattr(error, "problem", None) or "cannot be read"
    mark, context_mark = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is None:
        return document.error(f"not valid YAML: {problem}", 0)
    if document.text[mark.index : mark.index + 1] == "\t":
        return document.error("a tab where only spaces may stand", mark.index, "Indent with spaces.")
    hint = None
    if "mapping values are not allowed" in problem:
        hint = "A text with ': ' in it is put in quotes; otherwise look at the indentation."
    elif "cannot start any token" in problem:
        hint = "A text that begins with this character is put in quotes."
    elif context_mark is not None and document.text[context_mark.index : context_mark.index + 1] in ("[", "{"):
        opened = document.position(context_mark.index)
        hint = f"Is the bracket of line {opened[0]}, column {opened[1]} closed?"
    return document.error(f"not valid YAML: {problem}", mark.index, hint)


def nearest(root: Node, path: Iterable[str]) -> tuple[Node, bool]:
    """The deepest node on a path, and whether it is the end of the path."""
    node = root
    for name in path:
        child = node.child(name)
        if child is None:
            return node, False
        node = child
    return node, True


def walk_nodes(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Yield ``(path, node)`` of every scalar; list items have their number as a name."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from walk_nodes(child, (*path, key))
    elif isinstance(node.value, list):
        for number, child in enumerate(node.value):
            yield from walk_nodes(child, (*path, str(number)))
    else:
        yield path, node
