"""Gettext: which entries of .po and .mo files are examples, and what is said of bad files."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.corpus import open_corpus
from seqcli.data.formats import Reading, guess_format, guess_from_lines, read_examples
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig

TEXT = r"""# of nobody
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"

#: menu.c:1
msgctxt "menu"
msgid "&Open the \"file\""
msgstr "&Öffnen _der ~Datei"

#, fuzzy
msgid "unsure"
msgstr "unsicher"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

msgid ""
"two\n"
"lines\n"
msgstr "zwei\nZeilen\n"

#~ msgid "old"
#~ msgstr "alt"

msgid "none"
msgstr ""
"""
PAIRS = [('&Open the "file"', "&Öffnen _der ~Datei"), ("%d file", "%d Datei"), ("two lines", "zwei Zeilen")]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]), prepend=os.pathsep)
    Path("de.po").write_text(TEXT, encoding="utf-8")
    polib.pofile("de.po").save_as_mofile("de.mo")


def read(path):
    return [(one.source, one.target, one.at) for one in read_examples(path, Reading("po"))]


def run(*arguments):
    done = subprocess.run([sys.executable, "-m", "seqcli", "data", *arguments], capture_output=True)
    return done.stdout.decode(), done.stderr.decode(), done.returncode


def test_translated_entries_are_examples():
    assert guess_format("x/de.po.gz") == guess_format("de.mo") == guess_from_lines(TEXT.split("\n")) == "po"
    places = ["de.po:6", "de.po:15", "de.po:20"]
    assert read("de.po") == [(*pair, place) for pair, place in zip(PAIRS, places, strict=True)]


def test_compiled_files_have_the_same(here):
    assert sorted(one[:2] for one in read("de.mo")) == sorted(PAIRS)
    assert [one[2] for one in read("de.mo")] == ["de.mo:1", "de.mo:2", "de.mo:3"]
    for name in ("de.po", "de.mo"):
        Path(f"{name}.gz").write_bytes(gzip.compress(Path(name).read_bytes()))
        assert [one[:2] for one in read(f"{name}.gz")] == [one[:2] for one in read(name)]


def test_a_context_within_a_text_is_taken_off():
    Path("x.po").write_text('msgid "menu\x04Open"\nmsgstr "Öffnen"\n', encoding="utf-8")
    assert [one[:2] for one in read("x.po")] == [("Open", "Öffnen")]


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, unique_by=lambda pair: pair[0]))
def test_what_polib_writes_is_read(tmp_path_factory, pairs):
    pairs = [(f"a{one}z", f"b{other}z") for one, other in pairs]
    pairs = [pair for pair in pairs if not {*"".join(pair)} & {*"\n\r\t\x07\x08\x0b\x0c\x04\x00\\"}]
    path = tmp_path_factory.mktemp("po") / "x.po"
    file = polib.POFile(wrapwidth=0)
    file.extend(polib.POEntry(msgid=one, msgstr=other) for one, other in pairs)
    path.write_text(str(file), encoding="utf-8", newline="")
    assert [one[:2] for one in read(path)] == pairs


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.po", b'msgid "a"\nmsgstr "b\n', "x.po:2: a quote is opened and never closed"),
        ("x.po", b'msgid "a"\nmsgstr "b" "c"\n', "x.po:2: not as a .po file is written: unescaped double quote found"),
        ("x.po", b'msgid "a"\nnonsense\n', "x.po:2: not as a .po file is written"),
        ("x.po", b'msgid "a"\nmsgstr "\xe4"\n', "x.po:2: invalid UTF-8 at byte 9 of the line (0xe4). Convert the file"),
        ("x.po", b'msgid "a"\nmsgstr ""\n', "x.po: no example: the file is empty or has only blank lines"),
        (
            "x.mo",
            b"\xde\x12\x04\x95\0\0\0\0\1\0\0\0",
            "x.mo: is no whole .mo file: unpack requires a buffer of 8 bytes",
        ),
        ("x.mo", b"\xde\x12\x04\x95\0\0\7\0\1\0\0\0", "x.mo: Invalid mo file, unexpected major revision number"),
        ("x.mo", b"text\n", "x.mo:1: not as a .po file is written"),
    ],
)
def test_bad_files(name, data, message):
    Path(name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        list(open_corpus(DataConfig(train=name)).examples("train"))
    assert str(caught.value).startswith(message)
    assert caught.value.code == 65


def test_a_gz_that_ends_early_is_said():
    Path("de.mo.gz").write_bytes(gzip.compress(Path("de.mo").read_bytes())[:-9])
    with pytest.raises(UserError, match=r"de.mo.gz: cannot read: Compressed file ended before") as caught:
        read("de.mo.gz")
    assert caught.value.code == 74


def test_statistics_and_faults():
    out, _, code = run("stats", "de.po", "de.mo")
    assert code == 0
    assert out.splitlines()[:2] == ["                         de.po   de.mo", "sentences                    3       3"]
    assert "labels" not in out
    assert run("lint", "de.mo") == ("", "de.mo: read as po\nno faults\n", 0)
    Path("x.po").write_bytes(b'msgid "a"\nmsgstr "b"\nnonsense\n')
    assert run("lint", "x.po")[::2] == ("x.po:3: not as a .po file is written\n", 65)
