"""Tags: what is read, in which scheme it is learned, and how it comes back."""

from __future__ import annotations

import numpy as np
import pytest
from columns import column_of

from seqcli.errors import ExitCode, UserError
from seqcli.fields.tags import TagField
from seqcli.metrics.schemes import Span, convert, legal_step, violations, write_tags
from seqcli.recipe.fields import TagFieldConfig

TAGS = [
    ["B-PER", "O", "B-LOC"],
    ["O", "O", "O", "B-PER", "I-PER"],
    ["B-LOC", "I-LOC", "I-LOC", "O", "B-LOC"],
    ["B-PER", "B-LOC"],
    ["O", "O", "O", "O"],
]


def field_of(**options):
    return TagField(TagFieldConfig.model_validate(options))


def fitted(tags=TAGS, **options):
    field = field_of(**options)
    raws = [field.read(one, "x:1") for one in tags]
    field.fit(column_of(raws), [])
    return field, field.over(column_of(raws), [])


@pytest.mark.parametrize("model_scheme", ["bio", "bioes", "bilou", "iob1"])
def test_schemes_there_and_back(model_scheme):
    field, view = fitted(scheme="bio", model_scheme=model_scheme)
    sides = view.side(np.arange(len(TAGS)))
    assert sides.lengths_B.tolist() == [len(one) for one in TAGS]
    for row, (tags, ids) in enumerate(zip(TAGS, sides.arrays["ids_BT"].tolist(), strict=True)):
        learned = [field.labels[number] for number in ids[: len(tags)]]
        assert learned == convert(tags, "bio", model_scheme)
        assert not violations(learned, model_scheme)
        assert field.decode(ids[: len(tags)]) == tags
        assert view.gold(row) == tags
    assert field.labels[0] == "O"  # the most frequent one
    # a span of a length that training lacks can be written all the same
    longest = [Span(0, 4, "LOC"), Span(4, 5, "LOC"), Span(5, 7, "PER")]
    assert set(write_tags(longest, 7, model_scheme)) <= set(field.labels)


def test_labels_in_the_order_of_frequency():
    field, _ = fitted([["b", "a", "c", "a"], ["c", "c"]])
    assert field.labels == ["c", "a", "b"]
    assert field.summary() == {"labels": 3}


def test_binary_labels():
    field, view = fitted(scheme="bio", model_scheme="bioes", labels="binary")
    assert sorted(field.labels) == ["B-ENTITY", "E-ENTITY", "I-ENTITY", "O", "S-ENTITY"]
    gold = [[tag if tag == "O" else f"{tag[0]}-ENTITY" for tag in tags] for tags in TAGS]
    assert [view.gold(row) for row in range(len(TAGS))] == gold


def test_what_a_softmax_head_may_say_is_read_as_conlleval_reads_it():
    field, _ = fitted(scheme="bio", model_scheme="bioes")
    said = [field.labels.index(label) for label in ("O", "E-LOC", "O", "B-PER", "B-LOC")]
    assert field.decode(said) == ["O", "B-LOC", "O", "B-PER", "B-LOC"]


def test_a_tag_that_training_lacks_is_no_label():
    field, _ = fitted(scheme="bio")
    view = field.over(column_of([["O", "B-ORG"], ["B-PER"]]), [])
    assert view.unseen == ["B-ORG"]
    assert view.side(np.arange(2)).arrays["ids_BT"].tolist() == [
        [field.labels.index("O"), -1],
        [field.labels.index("B-PER"), 0],
    ]
    assert view.gold(0) == ["O", "B-ORG"]


def test_which_label_may_follow_which():
    field, _ = fitted(scheme="bio", model_scheme="bioes")
    space = field.space()
    assert space.labels == len(field.labels)
    for row, before in enumerate(field.labels):
        assert space.start_K[row] == (before[0] in "OBS")
        assert space.end_K[row] == (before[0] in "OES")
        assert space.steps_KK[row].tolist() == [legal_step(before, after, "bioes") for after in field.labels]
    assert fitted([["a"], ["b"]])[0].space().steps_KK is None


def test_saved_and_loaded(tmp_path):
    field, _ = fitted(scheme="bio", model_scheme="bioes")
    assert field.save(tmp_path) == ["labels.txt"]
    again = field_of(scheme="bio", model_scheme="bioes")
    again.load(tmp_path)
    assert again.labels == field.labels


@pytest.mark.parametrize(
    ("options", "value", "message"),
    [
        ({}, "a label", "x:3: tagging needs tokens with a tag each"),
        ({}, None, "x:3: tagging needs tokens with a tag each"),
        ({}, ["O", ""], "x:3: tag 2 is empty"),
        ({}, ["O\nB-X"], "x:3: a tag holds a line break"),
        ({"scheme": "bio"}, ["O", "I-PER"], "x:3: token 2 ('Bo') of the sentence from this line: "),
    ],
)
def test_what_is_no_sequence_of_tags(options, value, message):
    with pytest.raises(UserError) as caught:
        field_of(**options).read(value, "x:3", ["Anna", "Bo"])
    assert str(caught.value).startswith(message)
    assert caught.value.code == ExitCode.DATA


def test_merged_tags_are_read_as_one():
    field, view = fitted([["PROPN", "AUX"], ["NOUN", "VERB", "X"]], merge={"PROPN": "NOUN", "AUX": "VERB"})
    assert sorted(field.labels) == ["NOUN", "VERB", "X"]
    assert [view.gold(row) for row in range(2)] == [["NOUN", "VERB"], ["NOUN", "VERB", "X"]]


def test_merged_labels_of_spans_keep_their_letters():
    field, view = fitted(scheme="bio", model_scheme="bioes", merge={"LOC": "PLACE", "PER": "O"})
    assert field.kinds == ["PLACE"]
    assert view.gold(2) == ["B-PLACE", "I-PLACE", "I-PLACE", "O", "B-PLACE"]
    assert view.gold(3) == ["O", "B-PLACE"]
    assert field_of(scheme="bio").key() != field_of(scheme="bio", merge={"LOC": "PLACE"}).key()
