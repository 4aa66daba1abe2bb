"""Formats of images with captions: lines, lists, COCO's JSON; images as files and as rows of features; bad lines."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from seqcli.data.corpus import open_corpus
from seqcli.data.example import MediaFile
from seqcli.data.formats import Reading, guess_format, read_examples
from seqcli.data.formats.captions import Captions
from seqcli.errors import ExitCode, UserError
from seqcli.recipe.data import DataConfig

LINES = "a.jpg#0\tA dog .\nb.jpg#0\tA cat .\na.jpg#1\tThe dog .\n"


@pytest.fixture
def folder(tmp_path):
    """Two images, their features and captions."""
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    np.save(tmp_path / "f.npy", np.arange(6, dtype=np.int8).reshape(2, 3))
    (tmp_path / "f.txt").write_text("b.jpg\na.jpg\n")
    (tmp_path / "captions.txt").write_text(LINES)
    return tmp_path


def read(path, **options):
    return list(read_examples(path, Reading(**{"format": "captions", **options})))


def test_lines_of_one_image_are_one_example_and_images_lie_beside_the_file(folder):
    found = read(folder / "captions.txt")
    assert [one.source for one in found] == [MediaFile(folder / "a.jpg"), MediaFile(folder / "b.jpg")]
    assert [one.target for one in found] == [["A dog .", "The dog ."], ["A cat ."]]
    assert [one.line for one in found] == [1, 2]


def test_a_table_of_two_columns_is_the_same_with_or_without_a_header(folder):
    for head in ("", "image\tcaption\n"):
        (folder / "t.tsv").write_text(head + "a.jpg\tA dog .\n\nb.jpg\tA cat .\n")
        assert [one.target for one in read(folder / "t.tsv")] == [["A dog ."], ["A cat ."]]


def test_rows_of_features_are_found_by_their_names(folder):
    found = read(folder / "captions.txt", images=str(folder / "f.npy"))
    assert [one.source.tolist() for one in found] == [[[3, 4, 5]], [[0, 1, 2]]]
    assert found[0].source.dtype == np.float32


def test_a_grid_is_its_places_row_by_row(folder):
    np.save(folder / "f.npy", np.arange(24).reshape(2, 2, 2, 3))
    found = read(folder / "captions.txt", images=str(folder / "f.npy"))
    assert found[1].source.tolist() == np.arange(12).reshape(4, 3).tolist()


def test_a_split_may_be_a_list_of_images_whose_captions_are_elsewhere(folder):
    (folder / "dev.txt").write_text("b.jpg\n")
    (one,) = read(folder / "dev.txt", captions=str(folder / "captions.txt"))
    assert (one.source, one.target, one.line) == (MediaFile(folder / "b.jpg"), ["A cat ."], 1)


def test_cocos_json(folder):
    document = {
        "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 8, "file_name": "a.jpg"}, {"id": 9, "file_name": "c.jpg"}],
        "annotations": [
            {"image_id": 8, "caption": "A dog .\n"},
            {"image_id": 7, "caption": "A cat ."},
            {"image_id": 8, "caption": "The dog ."},
        ],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    assert guess_format(folder / "coco.json") == "coco"
    found = read(folder / "coco.json", format="coco")
    assert [one.target for one in found] == [["A cat ."], ["A dog .", "The dog ."]]
    (folder / "dev.txt").write_text("a.jpg\n")
    (one,) = read(folder / "dev.txt", captions=str(folder / "coco.json"))
    assert one.target == ["A dog .", "The dog ."]


def test_what_the_lines_look_like_is_seen(folder):
    assert guess_format(folder / "captions.txt") == "captions"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a.jpg#0\tA dog .\nb.jpg A cat .\n", 2, "no tab"),
        ("a.jpg#0\tA dog .\nb.jpg\n", 2, "no tab"),
        ("a.jpg#0\t \n", 1, "no caption of 'a.jpg'"),
        ("\tA dog .\n", 1, "no name of an image"),
        ("a.jpg\tA dog .\n\nc.jpg\tA cow .\n", 3, "there is no image 'c.jpg'"),
        ("../x.jpg\tA dog .\n", 1, "'../x.jpg' lies outside"),
        ("/etc/passwd\tA dog .\n", 1, "lies outside"),
        ("a\x00.jpg\tA dog .\n", 1, "is no path"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(folder, text, line, message):
    path = folder / "captions.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read(path)
    assert (caught.value.code, caught.value.line) == (ExitCode.DATA, line)
    errors = []
    found = list(read_examples(path, Reading(format="captions"), on_error=errors.append))
    assert len(errors) == 1
    assert len(found) == (1 if text.startswith("a.jpg#0\tA") or "c.jpg" in text else 0)


@pytest.mark.parametrize(
    ("spoil", "message", "code"),
    [
        (lambda folder: (folder / "f.txt").unlink(), "nothing says which image each row is of", ExitCode.DATA),
        (lambda folder: (folder / "f.txt").write_text("a.jpg\n"), "1 name for 2 rows of f.npy", ExitCode.DATA),
        (
            lambda folder: (folder / "f.txt").write_text("a.jpg\nz.jpg\n"),
            "there is no row 'b.jpg' in f.npy",
            ExitCode.DATA,
        ),
        (
            lambda folder: np.save(folder / "f.npy", np.zeros(2)),
            "no array of numbers with a row for each",
            ExitCode.DATA,
        ),
        (lambda folder: (folder / "f.npy").write_bytes(b"\x80\x04K\x01."), "a pickle is not loaded", ExitCode.DATA),
        (lambda folder: np.save(folder / "f.npy", np.full((2, 3), np.nan)), "a value that is no number", ExitCode.DATA),
        (lambda folder: (folder / "f.npy").unlink(), "there is no such file", ExitCode.DATA),
    ],
)
def test_features_that_are_not_those_of_the_images(folder, spoil, message, code):
    spoil(folder)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read(folder / "captions.txt", images=str(folder / "f.npy"))
    assert caught.value.code == code


def test_images_that_are_neither_a_folder_nor_features(folder):
    with pytest.raises(UserError, match="neither a folder of images nor"):
        read(folder / "captions.txt", images=str(folder / "no"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", "is not COCO's JSON"),
        ('{"images": []}', "'annotations' is missing"),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 2, "caption": "x"}]}',
            "image 2 is not among",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": 5}]}',
            "that is no text",
        ),
    ],
)
def test_json_that_is_not_cocos(folder, text, message):
    (folder / "c.json").write_text(text)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read(folder / "c.json", format="coco")
    assert caught.value.code == ExitCode.DATA


def test_the_fingerprint_is_that_of_all_files_that_decide_the_examples(folder):
    (folder / "list.txt").write_text("a.jpg\n")
    options = [
        ({}, ["captions.txt", "a.jpg", "b.jpg"], "captions.txt"),
        ({"images": str(folder / "f.npy")}, ["captions.txt", "f.npy", "f.txt"], "captions.txt"),
        ({"images": str(folder / "f.npy"), "captions": str(folder / "captions.txt")}, ["captions.txt"], "list.txt"),
    ]
    for reading, files, path in options:
        form = Captions(Reading(format="captions", **reading))
        seen = {form.fingerprint(folder / path)}
        for name in files:
            with (folder / name).open("ab") as handle:
                handle.write(b" ")
            seen.add(form.fingerprint(folder / path))
        assert len(seen) == 1 + len(files)


def test_a_part_of_the_images_may_be_kept_for_development(folder):
    rows = 60
    np.save(folder / "f.npy", np.random.default_rng(1).normal(size=(rows, 3)))
    (folder / "f.txt").write_text("".join(f"{n}.jpg\n" for n in range(rows)))
    (folder / "captions.txt").write_text("".join(f"{n}.jpg\tcaption {n}\n" for n in range(rows)))
    config = DataConfig.model_validate(
        {"train": str(folder / "captions.txt"), "images": str(folder / "f.npy"), "format": "captions", "dev_share": 0.3}
    )
    corpus = open_corpus(config)
    train, dev = ({one.target[0] for one in corpus.examples(split)} for split in ("train", "dev"))
    assert not train & dev
    assert len(train | dev) == rows
    assert 5 < len(dev) < 30


def test_stats_count_images_and_captions_and_find_an_image_of_two_splits(folder, seqcli):
    (folder / "dev.txt").write_text("a.jpg\tThe dog runs .\n")
    result = seqcli("data", "stats", str(folder / "captions.txt"), str(folder / "dev.txt"), "--format", "captions")
    assert result.code == 0, result.err
    rows = {line.rsplit(maxsplit=2)[0].strip(): line.split()[-2:] for line in result.out.splitlines() if line.strip()}
    assert rows["images"] == ["2", "1"]
    assert rows["words of captions"] == ["9", "4"]
    assert rows["captions at most"] == ["2", "1"]
    assert "100.0%" in result.out.splitlines()[-1]


def test_lint_says_which_image_stands_in_two_splits(folder, seqcli):
    (folder / "dev.txt").write_text("a.jpg\tThe dog runs .\n")
    result = seqcli("data", "lint", str(folder / "captions.txt"), str(folder / "dev.txt"), "--format", "captions")
    assert "stands in another split" in result.out + result.err
