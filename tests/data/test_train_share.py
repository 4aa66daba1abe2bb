"""A share of the training examples: exact, nested, the same everywhere, and dev untouched."""

from itertools import pairwise

import pytest

from seqcli.data.chunks import chunks
from seqcli.data.corpus import open_corpus
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "t.conll"
    file.write_text("".join(f"w{number} X\n\n" for number in range(200)))
    return str(file)


def words(path, split="train", **fields):
    return [one.source[0] for one in open_corpus(DataConfig(train=path, **fields)).examples(split)]


def test_a_share_is_exact_in_order_and_part_of_a_larger_one(path):
    whole = words(path)
    some, more = (words(path, train_share=share) for share in (0.1, 0.35))
    assert (len(whole), len(some), len(more)) == (200, 20, 70)
    assert set(some) < set(more) < set(whole)
    assert some == sorted(some, key=whole.index)
    assert some == words(path, train_share=0.1)
    assert len(words(path, train_share=0.0001)) == 1  # never none


def test_another_draw_takes_others(path):
    draws = [set(words(path, train_share=0.1, train_draw=draw)) for draw in range(3)]
    assert [len(draw) for draw in draws] == [20, 20, 20]
    assert all(len(one & other) < 10 for one, other in pairwise(draws))


def test_parts_of_a_file_hold_the_same_examples(path):
    corpus = open_corpus(DataConfig(train=path, train_share=0.3, dev_share=0.2))
    whole = [one.source for one in corpus.examples("train")]
    parts = [one.source for part in chunks(path, "conll", 300) for one in corpus.part_examples("train", part)]
    assert parts == whole


def test_dev_stays_as_it_is(path):
    dev = words(path, "dev", dev_share=0.2)
    assert words(path, "dev", dev_share=0.2, train_share=0.1) == dev
    train, some = (words(path, dev_share=0.2, train_share=share) for share in (1.0, 0.5))
    assert len(some) == round(0.5 * len(train))
    assert not set(some) & set(dev)
    # the choice is not that of dev over again: the lowest hashes there are dev's
    assert some != train[: len(some)]


def test_examples_of_equal_sources_stay_together(tmp_path):
    file = tmp_path / "t.tsv"
    file.write_text("".join(f"text {number % 10}\tlabel{number % 3}\n" for number in range(60)))
    some = [one.source for one in open_corpus(DataConfig(train=str(file), train_share=0.4)).examples("train")]
    assert len(some) == 24
    assert len(set(map(str, some))) == 4


def test_a_running_text_keeps_its_beginning(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("".join(f"{name}{number}\n" for number in range(100)))
    paths = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    data = DataConfig(train=paths, format="lines", blank_lines="keep", dev_share=0.2, train_share=0.25)
    corpus = open_corpus(data)
    assert [one.source for one in corpus.examples("train")] == [
        f"{name}{number}" for name in "ab" for number in range(20)
    ]
    assert [one.source for one in corpus.examples("dev")] == [
        f"{name}{80 + number}" for name in "ab" for number in range(20)
    ]
    alone = open_corpus(DataConfig(train=paths[0], format="lines", blank_lines="keep", train_share=0.25))
    assert len([*alone.examples("train")]) == 25


def test_the_fingerprint_knows_share_and_draw(path):
    prints = {
        open_corpus(DataConfig(train=path, dev_share=0.2, train_share=share, train_draw=draw)).fingerprint("train")
        for share, draw in ((1.0, 0), (0.5, 0), (0.5, 1), (0.25, 0))
    }
    assert len(prints) == 4
    dev = {
        open_corpus(DataConfig(train=path, dev_share=0.2, train_share=share)).fingerprint("dev") for share in (1.0, 0.5)
    }
    assert len(dev) == 1


def test_a_series_is_no_number_of_examples(tmp_path):
    file = tmp_path / "s.csv"
    file.write_text("time,y\n" + "".join(f"2001-01-{day:02},{day}\n" for day in range(1, 29)))
    with pytest.raises(UserError, match=r"data.train_share: a series is no number of examples. Train on .*train_steps"):
        open_corpus(DataConfig(train=str(file), train_share=0.5), series=True)
