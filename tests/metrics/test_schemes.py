import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.errors import ExitCode, UserError
from seqcli.metrics.schemes import (
    SCHEMES,
    Fault,
    Span,
    closest_scheme,
    convert,
    is_tag,
    legal_step,
    scheme_name,
    spans,
    violations,
    write_tags,
)

LETTERS = {"io": "I", "iob1": "BI", "bio": "BI", "bioes": "BIES", "bilou": "BILU"}


def tag_sequences(letters):
    tags = ["O", *(f"{letter}-{label}" for letter in letters for label in ("PER", "LOC", "art-work"))]
    return st.lists(st.sampled_from(tags), max_size=12)


@st.composite
def span_lists(draw):
    """(spans in order without overlap, length)."""
    found, position = [], 0
    for _ in range(draw(st.integers(0, 4))):
        start = position + draw(st.integers(0, 2))
        position = start + draw(st.integers(1, 3))
        found.append(Span(start, position, draw(st.sampled_from(["PER", "LOC", "art-work"]))))
    return found, position + draw(st.integers(0, 2))


@pytest.mark.parametrize(
    ("scheme", "tags", "expected"),
    [
        ("bio", "B-PER I-PER O B-LOC", [(0, 2, "PER"), (3, 4, "LOC")]),
        ("bio", "B-PER B-PER I-PER", [(0, 1, "PER"), (1, 3, "PER")]),
        ("bio", "O I-PER I-PER I-LOC", [(1, 3, "PER"), (3, 4, "LOC")]),  # invalid: read, not dropped
        ("bio", "B-foo-bar I-foo-bar I-foo", [(0, 2, "foo-bar"), (2, 3, "foo")]),
        ("bio", "B I O I", [(0, 2, ""), (3, 4, "")]),
        ("bio", "O O", []),
        ("iob1", "I-PER I-PER B-PER I-PER", [(0, 2, "PER"), (2, 4, "PER")]),
        ("io", "I-PER I-PER I-LOC", [(0, 2, "PER"), (2, 3, "LOC")]),
        ("bioes", "S-PER B-PER E-PER S-LOC", [(0, 1, "PER"), (1, 3, "PER"), (3, 4, "LOC")]),
        ("bioes", "B-PER I-PER O E-PER E-PER", [(0, 2, "PER"), (3, 4, "PER"), (4, 5, "PER")]),
        ("bilou", "U-PER B-PER I-PER L-PER", [(0, 1, "PER"), (1, 4, "PER")]),
    ],
)
def test_spans(scheme, tags, expected):
    assert spans(tags.split(), scheme) == expected


@pytest.mark.parametrize(
    ("scheme", "tags", "expected"),
    [
        ("bio", "O I-PER I-PER B-LOC I-LOC", [(3, 5, "LOC")]),
        ("bio", "B-PER I-LOC", [(0, 1, "PER")]),
        ("bioes", "B-PER I-PER O S-PER", [(3, 4, "PER")]),
        ("bioes", "B-PER B-PER E-PER", [(1, 3, "PER")]),
        ("bioes", "S-PER I-PER E-PER", [(0, 1, "PER")]),
    ],
)
def test_strict_leaves_out_ill_formed_spans(scheme, tags, expected):
    assert spans(tags.split(), scheme, "strict") == expected


@pytest.mark.parametrize("tag", ["NN", "S-PER", "O-PER", "", "-PER", "b-PER"])
def test_a_tag_of_another_kind_is_refused(tag):
    assert not is_tag(tag, "bio")
    with pytest.raises(UserError, match="is not a tag of the scheme bio") as caught:
        spans(["O", tag], "bio")
    assert caught.value.code == ExitCode.DATA


def test_scheme_names():
    assert [scheme_name(name) for name in ("IOB2", "BIO", "IOBES", "bioul", "iob")] == [
        "bio",
        "bio",
        "bioes",
        "bilou",
        "iob1",
    ]
    with pytest.raises(UserError, match=r"unknown tag scheme 'biose'. Did you mean 'bioes'\?"):
        scheme_name("biose")


@pytest.mark.parametrize(
    ("scheme", "tags", "expected"),
    [
        ("bio", "O I-PER", [(1, "I-PER does not continue a span of its label")]),
        ("bio", "B-PER I-LOC", [(1, "I-LOC does not continue a span of its label")]),
        ("bio", "B-PER I-PER", []),
        ("iob1", "I-PER B-PER", []),
        ("iob1", "O B-PER", [(1, "B-PER does not touch a span of its label before it")]),
        ("bioes", "B-PER", [(0, "B-PER is not followed by I-PER or E-PER")]),
        (
            "bioes",
            "B-PER S-PER I-PER",
            [
                (0, "B-PER is not followed by I-PER or E-PER"),
                (2, "I-PER does not continue a span of its label"),
                (2, "I-PER is not followed by I-PER or E-PER"),
            ],
        ),
        ("bilou", "B-PER L-PER U-LOC", []),
        ("io", "I-PER B-PER", [(1, "'B-PER' is not a tag of the scheme io")]),
    ],
)
def test_violations(scheme, tags, expected):
    assert violations(tags.split(), scheme) == [Fault(*fault) for fault in expected]


def test_legal_steps_are_those_a_crf_may_take():
    assert legal_step("B-PER", "I-PER", "bio")
    assert not legal_step("B-PER", "I-LOC", "bio")
    assert not legal_step(None, "I-PER", "bio")
    assert legal_step(None, "I-PER", "iob1")
    assert not legal_step("B-PER", None, "bioes")
    assert legal_step("S-PER", None, "bioes")


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["B-PER I-PER O", "B-LOC"], ("bio",)),
        (["I-PER O B-PER"], ()),
        (["I-PER O", "I-PER B-PER"], ("iob1",)),
        (["I-PER O", "I-LOC I-PER"], ("io", "iob1")),
        (["S-PER O B-PER E-PER"], ("bioes",)),
        (["U-PER O B-PER L-PER"], ("bilou",)),
        (["O O"], SCHEMES),
        (["DT NN VBZ"], ()),
        (["O B-PER", "B-MISC NN"], ()),
    ],
)
def test_the_schemes_under_which_data_is_valid(sentences, expected):
    valid = [scheme for scheme in SCHEMES if not any(violations(sentence.split(), scheme) for sentence in sentences)]
    assert tuple(valid) == expected


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["B-PER I-PER O B-LOC", "O I-LOC", "B-PER"], "bio"),  # one fault does not hide the scheme
        (["I-PER O", "I-LOC O", "O B-LOC"], "iob1"),
        (["I-PER O I-LOC"], "io"),
        (["B-PER E-PER O I-LOC", "S-PER"], "bioes"),
        (["O"], "bio"),
        (["DT NN"], None),
    ],
)
def test_closest_scheme(sentences, expected):
    assert closest_scheme([sentence.split() for sentence in sentences]) == expected


@given(span_lists(), st.sampled_from(SCHEMES[1:]), st.sampled_from(SCHEMES[1:]))
def test_converting_keeps_the_spans(written, source, target):
    found, length = written
    tags = write_tags(found, length, source)
    converted = convert(tags, source, target)
    assert violations(converted, target) == []
    assert spans(converted, target) == spans(converted, target, "strict") == found
    assert convert(converted, target, source) == tags


def test_convert_refuses_what_it_would_have_to_guess():
    with pytest.raises(UserError, match="tag 2: I-PER does not continue"):
        convert(["B-LOC", "O", "I-PER"], "bio", "bioes")
    assert convert(["B-LOC", "O", "I-PER"], "bio", "bioes", repair=True) == ["S-LOC", "O", "S-PER"]
    with pytest.raises(UserError, match="tag 1: two PER spans touch"):
        convert(["B-PER", "B-PER"], "bio", "io")
    assert convert(["B-PER", "B-PER"], "bio", "io", repair=True) == ["I-PER", "I-PER"]
    assert convert(["B", "I", "B"], "bio", "iob1") == ["I", "I", "B"]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
def test_valid_sequences_read_the_same_either_way(scheme, data):
    tags = data.draw(tag_sequences(LETTERS[scheme]))
    found = spans(tags, scheme)
    assert set(spans(tags, scheme, "strict")) <= set(found)
    if not violations(tags, scheme):
        assert spans(tags, scheme, "strict") == found
        assert write_tags(found, len(tags), scheme) == tags
    else:
        assert write_tags(found, len(tags), scheme) != tags


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
def test_a_sequence_is_valid_when_every_step_is_legal(scheme, data):
    tags = data.draw(tag_sequences(LETTERS[scheme]))
    steps = zip([None, *tags], [*tags, None], strict=True)
    assert all(legal_step(before, tag, scheme) for before, tag in steps) == (not violations(tags, scheme))


def random_tags(generator, letters):
    labels = ("PER", "LOC", "art-work")
    return [
        "O" if generator.random() < 0.3 else f"{generator.choice(letters)}-{generator.choice(labels)}"
        for _ in range(generator.randint(0, 12))
    ]


@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes"])
def test_conlleval_reading_equals_seqeval_default_on_10000_sequences(scheme):
    from seqeval.metrics.sequence_labeling import get_entities

    generator = random.Random(1)
    for _ in range(10_000):
        tags = random_tags(generator, LETTERS[scheme])
        expected = [(start, end + 1, label) for label, start, end in get_entities(tags)]
        # seqeval's default reading cuts labels at their first "-" just as ours does
        assert spans(tags, scheme) == expected


@pytest.mark.parametrize("scheme", ["bio", "bioes", "bilou"])
def test_strict_reading_equals_seqeval_strict_on_10000_sequences(scheme):
    from seqeval import scheme as seqeval_scheme

    their_scheme = {"bio": seqeval_scheme.IOB2, "bioes": seqeval_scheme.IOBES, "bilou": seqeval_scheme.BILOU}[scheme]
    generator = random.Random(2)
    differ = 0
    for _ in range(10_000):
        tags = random_tags(generator, LETTERS[scheme])
        theirs = sorted((e.start, e.end, e.tag) for e in seqeval_scheme.Entities([tags], their_scheme).entities[0])
        assert spans(tags, scheme, "strict") == theirs
        differ += theirs != spans(tags, scheme)
    assert differ > 1000  # the two readings are not the same thing on invalid sequences
