"""Where an English sentence ends, for prose that has a paragraph or a whole speech on a line."""

from __future__ import annotations

import re

_ABBREVIATIONS = """
    Mr Mrs Ms Messrs Dr Prof Hon Rev Gen Gov Sen Rep Adm Col Capt Lt Maj Sgt Pres St Ft Mt Jr Sr No Nos Art Sec Vol Chap
    Fig Co Cos Corp Inc Ltd Bros Dept vs viz Jan Feb Mar Apr Aug Sept Oct Nov Dec art sec vol chap no nos
"""

_ABBREVIATED = frozenset(_ABBREVIATIONS.split())

_END = re.compile(r"""(\S*?[.?!]+)["'”’)\]]*\s+(?=["'“‘(\[]*[A-Z0-9])""")
_INITIALS = re.compile(r"""["'“‘(\[]*(?:[A-Z]|(?:[A-Za-z]\.)+[A-Za-z])\.""")


def cut_sentences(text: str) -> list[str]:
    """The sentences of a text, in order, each as it stands but for the white space around it.

    A sentence ends after ``.``, ``?`` or ``!`` with the quotes and brackets that close behind it, where white space
    and then a capital or a digit follow (quotes and brackets may open before it). It does not end after an
    abbreviation from a short list (``Mr.``, ``No.``), an initial (``J.``, but ``I.`` ends one) or letters with dots
    (``U.S.``). So a sentence that ends in such a word runs on into the next: too long rather than cut in two.
    """
    sentences, begin = [], 0
    for match in _END.finditer(text):
        word = match[1]
        if word.lstrip("\"'“‘([")[:-1] in _ABBREVIATED or (_INITIALS.fullmatch(word) and word[-2:] != "I."):
            continue
        sentences.append(text[begin : match.end()].strip())
        begin = match.end()
    if rest := text[begin:].strip():
        sentences.append(rest)
    return sentences
