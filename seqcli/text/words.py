"""Words and punctuation, cut as the Penn Treebank and the CoNLL corpora do, in any script that writes spaces.

One regular expression, tried from left to right, finds every token; what it steps over is white space. It is written
once and compiled twice: for ASCII text with ``re`` (several times faster) and for all of Unicode with ``regex``.

Every repetition is possessive or bounded, so the time is linear in the line even for hostile text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from seqcli.text.marks import WHITE_SPACE

_ABBREVIATIONS = """
    Mr Mrs Ms Mx Dr Prof Sr Jr St Mt Ft Rev Hon Gov Gen Sen Rep Sgt Capt Lt Col Maj Cpl Cmdr Adm Pres Supt Insp Smt
    Messrs Rs Co Cos Corp Inc Ltd Pvt Bros Assn Dept Univ vs etc viz cf al approx Ave Blvd Rd Ph.D
    B.Sc M.Sc B.Tech M.Tech B.Com M.Com Jan Feb Mar Apr Aug Sep Sept Oct Nov Dec
"""

_BEFORE_A_NUMBER = ("[Nn]os?", "[Pp]p?", "[Vv]ols?", "[Ff]igs?", "[Cc]h", "[Ss]ec", "[Aa]rt", "[Ee]q")

_ASCII_CLASSES = {
    "S": WHITE_SPACE,
    "L": "A-Za-z",
    "U": "A-Z",
    "l": "a-z",
    "D": "0-9",
    "W": "A-Za-z0-9_",
    "Q": "'",
    "q": '"',
    "other": f"[^{WHITE_SPACE}]",
}
_SYMBOL = r"\p{So}[\p{M}\U0001f3fb-\U0001f3ff]*+"
_UNICODE_CLASSES = {
    # A mark (a vowel sign, an accent) and a joiner belong to the letter before them: हिन्दी is one word.
    "S": WHITE_SPACE,
    "L": r"\p{L}\p{M}",
    "U": r"\p{Lu}",
    "l": r"\p{Ll}",
    "D": r"\p{Nd}",
    "W": r"\p{L}\p{M}\p{N}_\u200c\u200d\u00ad\u2060",
    "Q": "'’",
    "q": '"”»',
    # a flag; a symbol with its selectors and skin tones, and what zero-width joiners tie to it; any character
    "other": rf"\p{{RI}}{{2}}|{_SYMBOL}(?:\u200d{_SYMBOL})*+|[^{WHITE_SPACE}]",
}

_ENDS_URL = "/&=#%~+$-"

_PATTERN = r"""
  [{L}]++(?![^{S},;)!?{q}])                                      # a plain word, by far the most frequent
| <(?:unk|UNK)>                                                  # a rare word, as prepared corpora write it
| (?:[Hh]ttps?|[Ff]tp)://[^{S}<>{q}]*[{W}{ends_url}]             # URL, without the punctuation that follows it
| [Ww]ww\.(?=[{W}])[^{S}<>{q}]*[{W}{ends_url}]
| [{W}][{W}.+-]{{0,63}}+@[{W}][{W}-]{{0,62}}(?:\.[{W}-]{{1,63}})+  # e-mail address
| (?<![{W}])[@\#][{W}]++                                         # @mention, #hashtag
| [{L}](?:\.[{L}]){{1,8}}+(?![{W}])\.?(?:-[{W}]++)*+             # U.S., e.g., p.m., U.S.-based
| (?=[A-Za-z.]{{2,7}}\.)(?:{abbreviations})\.(?![{l}.])          # Mr., Rs., Ltd.
| (?:{before_number})\.(?=[{S}]?[{D}])                           # No. 5, p. 12
| (?!I\.)[{U}]\.(?=[{S}]*+[{L}])                                 # J. Smith
| (?=[{L}]++[{Q}][tT](?![{W}]))[{L}]+?(?=[nN][{Q}])              # did|n't
| [nN][{Q}][tT](?![{W}])
| {clitic}                                                       # Angela|'s
| [{Q}][{D}]0s(?![{W}])                                          # '90s
| (?:(?<![{W})\]%.])(?:[-+]\.?|\.)(?=[{D}]))?                    # -5, +91, .5
  [{W}]++(?:(?:-(?=[{W}])|&(?=[{L}])|(?!{clitic})[{Q}](?=[{L}])  # well-known, AT&T, O'Brien
    |\.(?=[{l}{D}])|(?<=[{D}])[,:/](?=[{D}]))[{W}]++)*+          # 5,000.50, 12:30, example.com
| (?<![{W}])[:;=]-?[()DPp/|\\](?![{W}])                          # :-)
| \.{{2,}}|[!?]+|--+|\*+|==+|~+|\#+|\++|<<+|>>+|''+|``+
| {other}
"""


_POSSESSIVE_IS_SOUND = sys.version_info >= (3, 11, 5)
"""Before, ``re`` loses its place in a possessive group that backtracks inside (CPython issue 106052)."""


class Words:
    """Words, numbers and punctuation marks, each a token; ``'s`` and ``n't`` are tokens of their own.

    Whole stay: numbers (``5,000.50``), URLs, e-mail addresses, ``@mentions``, ``#hashtags``, hyphenated words,
    abbreviations with their dots (``U.S.``, ``Mr.``), names like ``O'Brien`` and ``AT&T``, emoji with all their parts.
    A token is always a piece of the text, unchanged. Scripts that write no spaces come out as long runs: use
    ``characters`` or ``sentencepiece`` for them.

    ``detokenize`` follows the rules of English spacing and is a best effort; wrapped in `tokenizers.Joined` the
    tokens carry joiners, and the text comes back exactly.
    """

    kind = "words"
    reversible = False

    def tokenize(self, text: str) -> list[str]:
        tokens: list[str] = _pattern(text.isascii()).findall(text)
        return tokens

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in _pattern(text.isascii()).finditer(text)]

    def detokenize(self, tokens: Sequence[str]) -> str:
        return space_words(tokens)


@cache
def _pattern(ascii_only: bool) -> Any:
    """The compiled pattern: ``re`` for ASCII text, ``regex`` (loaded at the first other line) for the rest."""
    classes = _ASCII_CLASSES if ascii_only else _UNICODE_CLASSES
    source = _PATTERN.format(
        **classes,
        ends_url=_ENDS_URL,
        abbreviations=_by_first_letter(_ABBREVIATIONS.split()),
        before_number="|".join(_BEFORE_A_NUMBER),
        clitic="[{Q}](?:[sSmMdD]|ll|LL|re|RE|ve|VE)(?![{W}])".format(**classes),
    )
    if ascii_only and _POSSESSIVE_IS_SOUND:
        return re.compile(source, re.VERBOSE)
    import regex

    return regex.compile(source, regex.VERBOSE | regex.VERSION0)


def _by_first_letter(words: Iterable[str]) -> str:
    """An alternation that looks at the first letter once."""
    tails: dict[str, list[str]] = {}
    for word in words:
        tails.setdefault(word[0], []).append(re.escape(word[1:]))
    return "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in tails.items())


_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%…»”’") | {"''", "n't", "N'T", "n’t", "N’T"}
_NO_SPACE_AFTER = frozenset("([{$£€₹¥«“‘¿¡") | {"``"}
_CLITIC = re.compile(r"['’](?:s|m|d|ll|re|ve)", re.IGNORECASE)
_PLURAL = re.compile(r"\w[sS]\Z")
_ENDS = re.compile(r"\.{2,}|[!?]{2,}")


def space_words(tokens: Sequence[str]) -> str:
    """Join words with the spacing of English print: ``["Hi", ",", "it", "'s", "me", "."]`` -> ``Hi, it's me.``"""
    parts: list[str] = []
    glue = True  # nothing before the first token
    open_quotes: set[str] = set()
    for at, token in enumerate(tokens):
        closes = token in _NO_SPACE_BEFORE or bool(_CLITIC.fullmatch(token)) or bool(_ENDS.fullmatch(token))
        opens = token in _NO_SPACE_AFTER
        if token in {'"', "'"}:
            # a possessive plural (the boys ') closes nothing and opens nothing
            possessive = token == "'" and token not in open_quotes and at > 0 and bool(_PLURAL.search(tokens[at - 1]))
            closes = possessive or token in open_quotes
            opens = not closes
            if not possessive:
                open_quotes ^= {token}
        elif token == "/" or (token == "–" and _between_digits(tokens, at)):
            closes = opens = True
        if not (glue or closes):
            parts.append(" ")
        parts.append(token)
        glue = opens
    return "".join(parts)


def _between_digits(tokens: Sequence[str], at: int) -> bool:
    return 0 < at < len(tokens) - 1 and tokens[at - 1][-1:].isdigit() and tokens[at + 1][:1].isdigit()
