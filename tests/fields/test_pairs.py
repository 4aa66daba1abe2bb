"""The two sides of a text-to-text example: arrays by hand, a vocabulary of one side or of both, files."""

from __future__ import annotations

import numpy as np
import pytest
from columns import column_of
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.batch import IGNORE
from seqcli.errors import ExitCode, UserError
from seqcli.fields.frames import FrameField
from seqcli.fields.pairs import SourceText, TargetText
from seqcli.recipe.fields import FrameFieldConfig, TextFieldConfig, TextTargetConfig

SOURCES = [["red", "cats"], ["see"], ["red", "red", "dogs"]]
TARGETS = [["rote", "Katzen"], ["sehen", "sehen", "see"], ["rote"]]


def fitted(share=None, sources=SOURCES, targets=TARGETS, **vocabulary):
    source = SourceText(TextFieldConfig(vocabulary=vocabulary))
    target = TargetText(TextTargetConfig(share=share, vocabulary={} if share else vocabulary), source)
    columns = column_of(sources), column_of(targets)
    if not share:
        source.fit(columns[0], ())
    target.fit_sides(*columns)
    return source, target


def test_each_side_has_rows_of_its_own():
    source, target = fitted()
    assert source.words.tokens == ("<UNK>", "<EOS>", "red", "cats", "dogs", "see")
    assert target.words.tokens == ("<UNK>", "<EOS>", "rote", "sehen", "Katzen", "see")
    assert (source.tables(), target.tables()) == ({"words": 6}, {"target words": 6})
    assert source.summary() == {"tokens in the vocabulary": 6}
    assert target.summary() == {"target tokens in the vocabulary": 6}
    assert source.sizes().words == target.sizes().words == 6
    assert not target.sizes().padded


def test_a_shared_vocabulary_counts_both_sides():
    source, target = fitted("source")
    assert source.words.tokens == ("<UNK>", "<EOS>", "red", "rote", "see", "sehen", "Katzen", "cats", "dogs")
    assert source.words.counts[2:] == (3, 2, 2, 2, 1, 1, 1)
    assert target.words is source.words
    assert (target.tables(), target.summary(), target.known_rows()) == ({}, {}, {})


@pytest.mark.parametrize("share", [None, "source"])
def test_the_end_stands_behind_each_side_and_before_what_is_written(share):
    source, target = fitted(share)
    number = {field: dict(zip(field.words.tokens, range(99), strict=False)) for field in (source, target)}
    red, cats, dogs = (number[source][word] for word in ("red", "cats", "dogs"))
    side = source.side([["red", "cats"], [], ["red", "new", "dogs"]])
    assert side.arrays["words_BT"].tolist() == [[red, cats, 1, 0], [1, 0, 0, 0], [red, 0, dogs, 1]]
    assert side.lengths_B.tolist() == [3, 1, 4]
    rote, katzen = number[target]["rote"], number[target]["Katzen"]
    side = target.side([["rote", "Katzen"], ["new"], []])
    assert side.arrays["words_BT"].tolist() == [[1, rote, katzen], [1, 0, 1], [1, 1, 1]]
    assert side.arrays["ids_BT"].tolist() == [[rote, katzen, 1], [0, 1, IGNORE], [1, IGNORE, IGNORE]]
    assert side.lengths_B.tolist() == [3, 2, 1]


def test_ids_are_a_text_again():
    _, target = fitted()
    assert target.text(target.words.encode(["rote", "Katzen", "sehen"])) == "rote Katzen sehen"
    assert target.text([]) == ""


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([*"abcde", "never seen"]), max_size=6), min_size=1, max_size=5),
    st.sampled_from([None, "source"]),
)
def test_every_row_of_a_side_is_what_was_put_in(raws, share):
    source, target = fitted(share, [list("abc")], [list("ced")])
    columns = column_of(raws)
    whole = np.arange(len(raws))
    for field in (source, target):
        known = [[token if token in field.words.tokens else "<UNK>" for token in raw] for raw in raws]
        for side in (field.side(raws), field.over(columns, ()).side(whole)):
            assert side.lengths_B.tolist() == [len(raw) + 1 for raw in raws]
            name = "words_BT" if field is source else "ids_BT"
            for row, (ids, length, raw) in enumerate(
                zip(side.arrays[name].tolist(), side.lengths_B.tolist(), known, strict=True)
            ):
                assert field.words.decode(ids[:length]) == [*raw, "<EOS>"]
                if field is target:
                    assert set(ids[length:]) <= {IGNORE}
                    read = side.arrays["words_BT"][row].tolist()
                    assert read[:length] == [field.eos, *ids[: length - 1]]


@pytest.mark.parametrize("share", [None, "source"])
def test_what_is_saved_is_loaded(tmp_path, share):
    fields = fitted(share)
    names = [name for field in fields for name in field.save(tmp_path)]
    assert names == ["vocabulary.txt"] if share else ["vocabulary.txt", "target-vocabulary.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    again = SourceText(TextFieldConfig())
    again_target = TargetText(TextTargetConfig(share=share), again)
    again.load(tmp_path)
    again_target.load(tmp_path)
    for field, other, raws in ((fields[0], again, SOURCES), (fields[1], again_target, TARGETS)):
        assert (other.words.tokens, other.key(), other.sizes()) == (field.words.tokens, field.key(), field.sizes())
        for name, array in field.side(raws).arrays.items():
            np.testing.assert_array_equal(other.side(raws).arrays[name], array)


def test_a_source_of_something_else_shares_nothing():
    with pytest.raises(UserError, match=r"target\.share: source needs a source of text") as refused:
        TargetText(TextTargetConfig(share="source"), FrameField(FrameFieldConfig()))
    assert refused.value.code == ExitCode.USAGE


def test_what_is_no_text_is_refused_by_its_side():
    source, target = fitted()
    for field, name in ((source, "source"), (target, "target")):
        with pytest.raises(UserError, match=f"x:3: the {name} is no text, and this recipe needs it"):
            field.read(5, "x:3")


@pytest.mark.parametrize("share", [None, "source"])
def test_a_trained_pair_of_fields_is_gone_on_with(share):
    """Rows that are known keep their numbers; what is new stands behind them, in both tables or in the one."""
    before = fitted(share)
    source = SourceText(TextFieldConfig())
    target = TargetText(TextTargetConfig(share=share), source)
    source.start_from(before[0])
    target.start_from(before[1])
    sources, targets = column_of([["see", "birds"]]), column_of([["rote", "Vögel", "Vögel"]])
    if not share:
        source.fit(sources, ())
    target.fit_sides(sources, targets)
    known = source.known_rows() | target.known_rows()
    if share:
        assert source.words.tokens == (*before[0].words.tokens, "Vögel", "birds")
        assert {name: rows.tolist() for name, rows in known.items()} == {"words": [*range(9), -1, -1]}
    else:
        assert source.words.tokens == (*before[0].words.tokens, "birds")
        assert target.words.tokens == (*before[1].words.tokens, "Vögel")
        assert {name: rows.tolist() for name, rows in known.items()} == {
            "words": [*range(6), -1],
            "target words": [*range(6), -1],
        }


@pytest.mark.parametrize("share", [None, "source"])
def test_tables_of_another_sharing_are_not_taken(share):
    _, before = fitted(share)
    other = None if share else "source"
    target = TargetText(TextTargetConfig(share=other), SourceText(TextFieldConfig()))
    words = {None: "null", "source": "source"}
    with pytest.raises(UserError) as refused:
        target.start_from(before)
    assert str(refused.value) == f"target.share is {words[other]} in the recipe and {words[share]} in the model"
