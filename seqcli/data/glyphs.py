"""Pictures of the glyphs of fonts, each with its Unicode name for a caption: what a rule of the catalogue makes."""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqcli.data.catalogue import GLYPH_FILES, Division
from seqcli.errors import usage_error

SIDE = 32
"""Rows and columns of pixels of a picture."""

PATCH = 8
"""Rows and columns of a place: a picture is a grid of 4 x 4 of them."""

_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC LETTER", "BOX DRAWINGS", "BRAILLE")
_SIGNS = ("Sm", "Sc", "So", "Nd", "Nl", "No", "Po", "Ps", "Pe", "Pd")
_EMPTY = 8


def glyph_files(division: Division, fonts: Mapping[str, Path]) -> dict[str, bytes]:
    """The files of a division of the unit ``glyphs``: pictures, their names, and the captions of each split.

    All fonts' pictures of one code point go to one split: code points are numbered in their order.

    Raises:
        UserError: matplotlib, which draws them, is not installed (2).
    """
    pictures: list[NDArray[np.uint8]] = []
    names: list[str] = []
    texts: dict[str, list[str]] = {name: [] for name in division.take}
    named = {place for numbers in division.take.values() for place in numbers or ()}
    drawn = {name: _glyphs(path) for name, path in fonts.items()}
    codes = sorted({code for found in drawn.values() for code in found})
    for number, code in enumerate(codes):
        place = number % division.every
        split = next(
            name for name, numbers in division.take.items() if (place in numbers if numbers else place not in named)
        )
        for font, found in drawn.items():
            if code in found:
                names.append(f"U+{code:04X}-{Path(font).stem}.png")
                pictures.append(found[code])
                texts[split].append(f"{names[-1]}\t{name_of(code)}")
    buffer = io.BytesIO()
    np.save(buffer, np.stack([places(one) for one in pictures]))
    made = {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in texts.items()}
    return made | dict(
        zip(GLYPH_FILES, (buffer.getvalue(), "".join(f"{name}\n" for name in names).encode()), strict=True)
    )


def places(picture_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture as its places [16, 64], row by row, each its pixels row by row."""
    count = SIDE // PATCH
    return picture_HW.reshape(count, PATCH, count, PATCH).transpose(0, 2, 1, 3).reshape(count**2, PATCH**2)


def picture(places_SD: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture of such places, squares of pixels in a square of places."""
    count, patch = map(math.isqrt, places_SD.shape)
    return places_SD.reshape(count, count, patch, patch).transpose(0, 2, 1, 3).reshape(count * patch, count * patch)


def name_of(code: int) -> str:
    """The Unicode name of a code point in words; the dots of Braille are a word each."""
    words = unicodedata.name(chr(code)).lower().replace("-", " ").split()
    return " ".join(" ".join(word) if words[0] == "braille" and word.isdecimal() else word for word in words)


def wanted(code: int) -> bool:
    """Whether a code point has a name that says what it looks like: letters of some scripts, digits, signs."""
    name, category = unicodedata.name(chr(code), ""), unicodedata.category(chr(code))
    return name.startswith(_SCRIPTS) or (category in _SIGNS and code < 0x2E80)


def _glyphs(font: Path) -> dict[int, NDArray[np.uint8]]:
    """Pictures of the wanted code points of a font, each drawn in the middle, white on black; empty ones are left out."""
    try:
        from matplotlib.ft2font import FT2Font, LoadFlags
    except ImportError as error:
        raise usage_error("glyphs are drawn by matplotlib", hint="pip install 'seqcli[plots]'") from error

    face = FT2Font(str(font))
    face.set_size(22, 72)
    found: dict[int, NDArray[np.uint8]] = {}
    for code in sorted(face.get_charmap()):
        if not wanted(code):
            continue
        face.set_text(chr(code), 0.0, flags=LoadFlags.NO_HINTING)
        face.draw_glyphs_to_bitmap(antialiased=True)
        image_HW = np.asarray(face.get_image(), np.uint8)
        rows, columns = (np.flatnonzero(image_HW.any(axis)) for axis in (1, 0))
        if len(rows) < 1 or int(image_HW.sum()) < 255 * _EMPTY:
            continue
        image_HW = image_HW[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][:SIDE, :SIDE]
        height, width = image_HW.shape
        canvas = np.zeros((SIDE, SIDE), np.uint8)
        top, left = (SIDE - height) // 2, (SIDE - width) // 2
        canvas[top : top + height, left : left + width] = image_HW
        found[code] = canvas
    return found
