"""Labels: one, several or grades; those that training lacks."""

from __future__ import annotations

import numpy as np
import pytest
from columns import column_of

from seqcli.errors import ExitCode, UserError
from seqcli.fields.labels import LabelField
from seqcli.recipe.fields import LabelFieldConfig


def fitted(raws, **options):
    field = LabelField(LabelFieldConfig.model_validate(options))
    field.fit(column_of(raws), ["train.tsv"])
    return field


def test_one_label_the_most_frequent_first():
    field = fitted([["b"], ["a"], ["c"], ["b"], ["c"], ["b"]])
    assert (field.labels, field.counts) == (["b", "c", "a"], [3, 2, 1])
    view = field.over(column_of([["c"], ["new"], ["b"]]), [])
    assert view.unseen == ["new"]
    assert view.side(np.array([2, 1, 0])).arrays["ids_B"].tolist() == [0, -1, 1]
    assert [view.gold(row) for row in range(3)] == [["c"], ["new"], ["b"]]


def test_equally_frequent_labels_do_not_depend_on_the_file():
    assert fitted([["b"], ["a"]]).labels == fitted([["a"], ["b"]]).labels == ["a", "b"]


def test_several_labels():
    field = fitted([["rain", "wind"], [], ["wind"]], separator=",")
    assert field.labels == ["wind", "rain"]
    view = field.over(column_of([["rain", "hail"], [], ["hail"], ["wind", "rain"]]), [])
    assert view.unseen == ["hail"]
    side = view.side(np.array([3, 0, 1, 2]))
    assert side.lengths_B.tolist() == [2, 2, 0, 1]
    assert side.arrays["labels_BK"].tolist() == [[1, 1], [0, 1], [0, 0], [0, 0]]
    assert side.arrays["labels_BK"].dtype == np.float32
    assert view.gold(1) == []


def test_grades_stand_in_the_order_of_their_numbers():
    field = fitted([["10"], ["10"], ["2"], ["1.5"], ["-1"]], ordinal=True)
    assert (field.labels, field.counts) == (["-1", "1.5", "2", "10"], [1, 1, 1, 2])


def test_one_label_of_several_is_enough_to_be_told_from_none():
    assert fitted([["rain"], []], separator=",").labels == ["rain"]


@pytest.mark.parametrize(
    ("raws", "options", "message"),
    [
        ([["x"], ["x"]], {}, "train.tsv: the training data has one label only, 'x': there is nothing to tell apart"),
        ([[], []], {"separator": ","}, "train.tsv: the training data has no labels: there is nothing to tell apart"),
        ([["1"], ["good"]], {"ordinal": True}, "train.tsv: target.ordinal: the label 'good' is no number"),
        ([["1"], ["nan"]], {"ordinal": True}, "train.tsv: target.ordinal: the label 'nan' is no number"),
        ([["1"], ["inf"]], {"ordinal": True}, "train.tsv: target.ordinal: the label 'inf' is no number"),
    ],
)
def test_what_cannot_be_learned(raws, options, message):
    with pytest.raises(UserError) as caught:
        fitted(raws, **options)
    assert str(caught.value).startswith(message)
    assert caught.value.code == ExitCode.DATA


@pytest.mark.parametrize(
    ("separator", "value", "labels"),
    [
        (None, " good ", ["good"]),
        (None, "a,b", ["a,b"]),
        (",", "a, b ,a", ["a", "b"]),
        (",", "", []),
        (",", ["a", " b "], ["a", "b"]),
        ("|", "a,b", ["a,b"]),
    ],
)
def test_reading(separator, value, labels):
    field = LabelField(LabelFieldConfig.model_validate({"separator": separator}))
    assert field.read(value, "x:1") == labels
    assert field.join(labels) == (separator or " ").join(labels)


@pytest.mark.parametrize(
    ("separator", "value", "message"),
    [
        (None, None, "x:3: no label"),
        (",", None, "x:3: no label"),
        (None, " ", "x:3: the label is empty"),
        (None, ["a"], "x:3: one label is expected, and here is a list"),
        (None, "a\tb", "x:3: a label holds a tab or a line break"),
        (",", ["a\nb"], "x:3: a label holds a tab or a line break"),
    ],
)
def test_what_is_no_label(separator, value, message):
    with pytest.raises(UserError) as caught:
        LabelField(LabelFieldConfig.model_validate({"separator": separator})).read(value, "x:3")
    assert str(caught.value).startswith(message)
    assert caught.value.code == ExitCode.DATA


def test_saved_and_loaded(tmp_path):
    field = fitted([["b"], ["a"]])
    assert field.save(tmp_path) == ["labels.txt"]
    again = LabelField(field.config)
    again.load(tmp_path)
    assert (again.labels, again.summary()) == (field.labels, {"labels": 2})
