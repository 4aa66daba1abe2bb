"""Pictures of glyphs: no code point in two splits, every font's in one, pictures and names row by row."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from seqcli.data.catalogue import data_set
from seqcli.data.glyphs import glyph_files, name_of, picture, places, wanted

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def made():
    """The rule of the catalogue on two small fonts."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = {name: folder / name for name in ("cmr10.ttf", "DejaVuSansDisplay.ttf", "STIXSizOneSymReg.ttf")}
    rule = data_set("glyphs").made
    return glyph_files(rule, {**fonts, "again.ttf": fonts["cmr10.ttf"]})


def codes(text):
    return {line.partition("-")[0] for line in text.decode().splitlines()}


def test_no_code_point_is_in_two_splits(made):
    splits = [codes(made[name]) for name in ("train.tsv", "dev.tsv", "test.tsv")]
    assert all(splits)
    assert sum(map(len, splits)) == len(set().union(*splits))
    assert len(splits[0]) > 7 * len(splits[2])


def test_each_font_has_its_picture_of_a_code_point_in_the_order_of_the_names(made):
    names = made["names.txt"].decode().splitlines()
    pictures = np.load(io.BytesIO(made["glyphs.npy"]))
    assert pictures.shape == (len(names), 16, 64)
    assert pictures.dtype == np.uint8
    row = {name: number for number, name in enumerate(names)}
    one, again = (pictures[row[f"U+0041-{font}.png"]] for font in ("cmr10", "again"))
    np.testing.assert_array_equal(one, again)
    letter = picture(one)
    assert letter.shape == (32, 32)
    assert letter.max() == 255
    top, bottom = letter[:16].sum(), letter[16:].sum()
    assert bottom > top  # an A stands on two legs
    captions = {
        line.split("\t")[0]: line.split("\t")[1]
        for name in made
        if name.endswith(".tsv")
        for line in made[name].decode().splitlines()
    }
    assert captions["U+0041-cmr10.png"] == "latin capital letter a"
    assert set(captions) == set(names)


def test_places_are_squares_of_the_picture():
    pixels = np.arange(1024, dtype=np.uint8).reshape(32, 32)
    np.testing.assert_array_equal(picture(places(pixels)), pixels)
    np.testing.assert_array_equal(places(pixels)[5].reshape(8, 8), pixels[8:16, 8:16])


@pytest.mark.parametrize(
    ("code", "name"),
    [(0x41, "latin capital letter a"), (0x2805, "braille pattern dots 1 3"), (0x203F, "undertie"), (0x2010, "hyphen")],
)
def test_names_in_words(code, name):
    assert name_of(code) == name


def test_what_is_wanted_has_a_name_and_a_shape():
    assert all(wanted(code) for code in (0x41, 0x3B1, 0x416, 0x35, 0x2192, 0x2805))
    assert not any(wanted(code) for code in (0x20, 0x0, 0x4E00, 0x300, 0xE000, 0x10FFFF))
