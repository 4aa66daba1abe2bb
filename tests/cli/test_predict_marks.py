"""Where ``predict`` shows tags in the text itself: characters of spans, colours on a terminal, a page of HTML."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import Program, environment, run_inside, trained_run
from tiny_corpus import SENTENCES, tiny_recipe

import seqcli as library
from seqcli.data.formats.base import Reading
from seqcli.data.formats.inline import Inline
from seqcli.pipeline.model import Model
from seqcli.tasks.tagging import Tagged, document, inline, marks

LINE = '\u3000 Ravi  Kumar\tmet "Anna" & <b>Tata</b>\u00a0in\u2028Paris. हिन्दी 👩\u200d👩\u200d👧 '
WORDS = st.lists(
    st.sampled_from(
        ["Ravi", "Kumar", "Anna", "met", "in", "Paris.", "'s", "e\u0301", "👩\u200d👧", "हिन्दी", "I.", "a/b"]
    )
    | st.text(st.characters(exclude_characters="\n"), max_size=4),
    max_size=12,
)
SPACES = st.sampled_from([" ", "  ", "\t", "\u3000", "\u00a0 ", ""])


@pytest.fixture(scope="module")
def tagger(trained_folder: Path) -> Model[Tagged]:
    return library.load(str(trained_folder / "runs/tiny/1"))


# -- characters


@settings(deadline=None)
@given(WORDS, SPACES)
def test_offsets_are_the_characters_of_the_line_as_given(tagger: Model[Tagged], words: list[str], space: str) -> None:
    line = space.join(words)
    (one,) = tagger.predict([line], offsets=True)
    assert one.offsets is not None
    assert [line[start:end] for start, end in one.offsets] == one.tokens
    for span in document(one, False, "bio")["spans"]:
        covered = line[span["start_char"] : span["end_char"]]
        assert "".join(covered.split()) == "".join("".join(one.tokens[span["start"] : span["end"]]).split())
        assert covered == covered.strip()


def test_spans_of_json_carry_characters(seqcli: Program, trained: Path) -> None:
    for flags in ([], ["--tokens"]):
        row = json.loads(seqcli("predict", "tiny", "--jsonl", *flags, stdin=f"{LINE}\n".encode()).out)
        assert row["spans"]
        for span in row["spans"]:
            assert list(span) == ["start", "end", "start_char", "end_char", "label", "text"]
            covered = LINE[span["start_char"] : span["end_char"]]
            assert covered.split() == span["text"].split()
    plain = seqcli("predict", "tiny", "--format", "tsv", stdin=f"{LINE}\n".encode()).out
    assert json.loads(seqcli("predict", "tiny", "--jsonl", stdin=f"{LINE}\n".encode()).out)["tags"] == (
        plain.strip("\n").split("\t")[1].split(" ")
    )


def test_a_line_in_pieces_keeps_its_characters(tmp_path: Path, cache: Path) -> None:
    model = Model.load(trained_run(tiny_recipe(tmp_path, "data.max_length=5", "training.epochs=1"), tmp_path))
    line = "  New  York is \t far from Paris , they say , and Ravi Kumar  knows"
    (one,) = model.predict([line], offsets=True)
    assert one.offsets is not None
    assert [line[start:end] for start, end in one.offsets] == one.tokens == line.split()
    (without,) = model.predict([line])
    assert without.offsets is None
    (listed,) = model.predict([line.split()], offsets=True)
    assert (listed.offsets, listed.tags) == (None, one.tags)


# -- inline

TOKEN = st.text(st.characters(exclude_categories=["Z", "C"]) | st.just("/"), min_size=1, max_size=5)
TAG = st.text(st.characters(exclude_categories=["Z", "C"], exclude_characters="/"), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(TOKEN, TAG), min_size=1))
def test_inline_reads_what_predict_writes(pairs: list[tuple[str, str]]) -> None:
    """A token may hold a slash, since the last one of an item counts."""
    tokens, tags = [token for token, _ in pairs], [tag for _, tag in pairs]
    line = inline(Tagged(tokens, tags, None), False)  # type: ignore[arg-type]
    assert Inline(Reading("inline")).parse(line[:-1]) == (tokens, tags)


def test_a_tag_with_a_slash_is_refused_in_inline(
    seqcli: Program, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    slashed = [(words, tags.replace("B-PER", "NN/VB")) for words, tags in SENTENCES]
    recipe = tiny_recipe(tmp_path, "target={kind: tags}", "training.epochs=1", train=slashed, dev=slashed)
    trained_run(recipe, tmp_path)
    said = (
        "error: --format inline: this model has the tag 'NN/VB', and '/' stands before a tag there. "
        "Take --format conll, tsv or jsonl.\n"
    )
    for arguments in ([], ["--format", "inline"], ["--input", "csv", "--column", "0"]):
        assert seqcli("predict", "tiny", *arguments, stdin=b"Ravi left\n") == (2, "", said)
    code, out, err = seqcli("predict", "tiny", "--format", "tsv", stdin=b"Ravi left\n")
    assert (code, out.split("\t")[0], err) == (0, "Ravi left", "")


def test_a_token_with_a_space_is_refused_where_it_would_be_two(seqcli: Program, trained: Path) -> None:
    text = b"Ravi Kumar\tO\nmet\tO\n"
    said = "error: the token 'Ravi Kumar' holds a space. Take --format conll or jsonl.\n"
    for form in ("inline", "tsv"):
        assert seqcli("predict", "tiny", "--input", "conll", "--format", form, stdin=text) == (65, "", said)
    row = json.loads(seqcli("predict", "tiny", "--input", "conll", "--jsonl", stdin=text).out)
    assert row["tokens"] == ["Ravi Kumar", "met"]


# -- colours

NEWS = b"Ravi met Anna in Paris .\n\nTata\n" + b"[bold]Anna[/bold] met :smile: 5 " * 9 + b"\n"


def test_colours_change_nothing_but_the_colour(seqcli: Program, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = seqcli("predict", "tiny", stdin=NEWS).out
    assert "\x1b" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    for more in ([], ["--scores"]):
        painted = seqcli("predict", "tiny", *more, stdin=NEWS)
        assert painted.code == 0
        monkeypatch.setenv("NO_COLOR", "1")
        uncoloured = seqcli("predict", "tiny", *more, stdin=NEWS).out
        monkeypatch.delenv("NO_COLOR")
        assert re.sub(r"\x1b\[[0-9;]*m", "", painted.out) == uncoloured
        assert re.search(r"\x1b\[30;4\dmRavi/B-PER", painted.out)
        assert re.search(r" met\x1b\[2m/O", painted.out)
    for form in ("conll", "tsv", "jsonl"):
        assert "\x1b" not in seqcli("predict", "tiny", "--format", form, stdin=NEWS).out
    monkeypatch.setenv("TERM", "dumb")
    assert seqcli("predict", "tiny", stdin=NEWS).out == plain


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("wish", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_on_a_terminal(trained: Path, wish: dict[str, str], coloured: bool) -> None:
    import pty

    main, side = pty.openpty()
    env = environment(**{"TERM": "xterm-256color", **wish})
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "predict", "tiny"], stdin=subprocess.PIPE, stdout=side, env=env
    ) as process:
        os.close(side)
        process.communicate(NEWS)
    shown = b""
    try:
        while data := os.read(main, 65536):
            shown += data
    except OSError:  # how a pseudo-terminal ends
        pass
    os.close(main)
    assert process.returncode == 0
    assert (b"\x1b[30;4" in shown) == coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).replace("\r\n", "\n")
    assert plain == run_inside("predict", "tiny", stdin=NEWS).out


# -- a page


class Page(HTMLParser):
    """The paragraphs of a page without the names of marks, and the marks as ``(text, name)``; the legend last."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.marks: list[list[str]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            return
        self.open.append(tag)
        if tag in ("p", "footer"):
            self.texts.append("")
        elif tag == "mark":
            self.marks.append(["", ""])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "mark" in self.open:
            self.marks[-1]["b" in self.open] += data
        if {"p", "footer"} & set(self.open) and "b" not in self.open:
            self.texts[-1] += data


def test_a_page_holds_the_text_and_a_mark_for_each_span(seqcli: Program, trained: Path) -> None:
    lines = [LINE, "", "Ravi met Anna"]
    (trained / "news.txt").write_text("".join(f"{line}\n" for line in lines))
    assert seqcli("predict", "tiny", "news.txt", "--html", "news.html") == (0, "", "3 lines in news.html\n")
    html = (trained / "news.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not page.open
    assert page.texts[:-1] == lines
    rows = [json.loads(row) for row in seqcli("predict", "tiny", "news.txt", "--jsonl").out.splitlines()]
    spans = [
        [line[span["start_char"] : span["end_char"]], span["label"]]
        for line, row in zip(lines, rows, strict=True)
        for span in row["spans"]
    ]
    assert page.marks[: len(spans)] == spans
    legend = page.marks[len(spans) :]
    assert sorted(name for _, name in legend) == sorted({name for _, name in spans})
    assert " 3 lines" in page.texts[-1]
    assert not re.search(r"https?://|<script|<link|@import|url\(", html)
    assert "print-color-adjust: exact" in html
    assert seqcli("predict", "tiny", "news.txt", "--html", "-", "-q") == (0, html, "")


def test_a_page_of_a_column_and_of_sentences(seqcli: Program, trained: Path) -> None:
    out = seqcli("predict", "tiny", "--html", "-", "--input", "csv", "--column", "t", stdin=b"n,t\n1,Ravi met\n").out
    assert Page(out).texts[0] == "Ravi met"
    out = seqcli("predict", "tiny", "--html", "-", "--input", "conll", "--scores", stdin=b"Ravi O\nmet O\n").out
    page = Page(out)
    assert page.texts[0] == "Ravi met"
    assert re.fullmatch(r"PER \d\.\d\d", page.marks[0][1])
    assert page.marks[0][0] == "Ravi"


def test_without_a_scheme_each_token_is_marked(tmp_path: Path, cache: Path, seqcli: Program) -> None:
    run = trained_run(tiny_recipe(tmp_path, "target={kind: tags}", "training.epochs=1"), tmp_path)
    one = next(iter(Model.load(run).predict(["Ravi  left"])))
    assert [tuple(mark) for mark in marks(one, None)] == [(0, 1, one.tags[0]), (1, 2, one.tags[1])]
    page = Page(seqcli("predict", str(run.path), "--html", "-", stdin=b"Ravi  left\n").out)
    assert page.marks[:2] == [["Ravi", one.tags[0]], ["left", one.tags[1]]]
    assert page.texts[0] == "Ravi  left"


def test_a_page_of_a_classifier_has_the_label_before_the_text(seqcli: Program, classifiers: Path) -> None:
    text = b"not <boring>\n\n"
    first, second = seqcli("predict", "bag", stdin=text).out.splitlines()
    page = Page(seqcli("predict", "bag", "--html", "-", stdin=text).out)
    assert (page.texts[:2], page.marks[:2]) == (["not <boring>", ""], [["", first], ["", second]])
    scored = seqcli("predict", "bag", "--scores", stdin=text).out.splitlines()[0].split("\t")
    page = Page(seqcli("predict", "bag", "--html", "-", "--scores", stdin=text).out)
    assert page.marks[0] == ["", f"{scored[0]} {float(scored[1]):.2f}"]
    assert len(Page(seqcli("predict", "bag", "--html", "-", "--top", "2", stdin=b"dull\n").out).marks) >= 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("bag --html a.html --jsonl", 2, "--html and --format jsonl: which of the two?"),
        ("bag --html a.html --attribution", 2, "--html and --attribution: which of the two?"),
        ("motion test.ts --html a.html", 2, "--html is for text; motion@1 reads frames"),
        ("bag --html runs", 74, "runs: cannot write: Is a directory"),
        ("bag --html none/a.html", 74, "none/a.html: cannot write: No such file or directory"),
    ],
)
def test_pages_that_cannot_be(seqcli: Program, classifiers: Path, arguments: str, code: int, message: str) -> None:
    assert seqcli("predict", *arguments.split(), stdin=b"dull\n") == (code, "", f"error: {message}\n")
    assert not (classifiers / "a.html").exists()


def test_a_page_is_whole_or_not_at_all(seqcli: Program, classifiers: Path) -> None:
    (classifiers / "a.html").write_text("old")
    assert seqcli("predict", "bag", "--html", "a.html", stdin=b"dull\n\xff\n").code == 65
    assert (classifiers / "a.html").read_text() == "old"
