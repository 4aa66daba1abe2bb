"""Ids of many lines at once against tokenizing and encoding each line."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqcli.errors import UserError
from seqcli.text import fast_ids
from seqcli.text.chunk_table import ChunkTable, contents
from seqcli.text.fast_ids import FastIds
from seqcli.text.tokenizers import build_tokenizer
from seqcli.text.vocabulary import Vocabulary

PIECES = [
    "the",
    "The",
    "Mr.",
    "No.",
    "no.",
    "5",
    "J.",
    "I.",
    "Smith",
    "U.S.",
    "A.B.",
    "É.",
    "éa",
    "don't",
    "Angela's",
    "well-known",
    "p.",
    "12",
    "Fig.",
    "such.",
    "film,",
    "(J.",
    "...",
    ".",
    ",",
    "x\0",
    "\0",
    "x",
    "a@b.org",
    "#tag",
    "http://a.b/c.",
    "Straße",
    "ΣΑΣ",
    "हिन्दी",
    "👍🏽",
    "🇮🇳🇮🇳",
    "\u0301",
    "\ud800",
    "<UNK>",
    "<EOS>",
    "İ",
    "ʼN.",
    "ǅ.",
    "sixteen-bytes-ok",
    "seventeen-bytes-x",
    "a-very-long-word-of-more-than-sixteen-bytes",
    "ñandú-ñandú-ñandú",
]
SPACES = [" ", "  ", "\t", "\u2028", "\u0085", "\xa0", "\x1c", "\x0b", "\r", "\n", "\u3000", "", "\x07"]
lines = st.lists(
    st.one_of(
        st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(SPACES)), max_size=8).map(
            lambda pairs: "".join(piece + space for piece, space in pairs)
        ),
        st.text(max_size=20),
        st.text(alphabet="aAtT.5 \t\u2028\0'’-É\n", max_size=12),
    ),
    max_size=12,
)
VOCABULARY = Vocabulary.build({piece: 1 for piece in PIECES if piece.strip()} | {"n't": 1, "'s": 1, "no": 1, "No": 1})


def plain(tokenizer, texts, vocabulary=VOCABULARY):
    return [vocabulary.encode(tokenizer.tokenize(text)) for text in texts]


def fast(reader, texts):
    ids, offsets = reader.ids_of(texts)
    assert offsets[0] == 0
    assert offsets[-1] == len(ids)
    return [ids[begin:end].tolist() for begin, end in pairwise(offsets)]


@settings(max_examples=300, deadline=None)
@given(texts=lines, again=lines, kind=st.sampled_from(["words", "whitespace"]), lowercase=st.booleans())
@example(texts=["No.  5", "No. 5", "No.\t5", "No. five", "No."], again=["no. 5"], kind="words", lowercase=True)
@example(texts=["J.  Smith", "J. 5", "J.", "J.\nSmith", "J. É"], again=["J."], kind="words", lowercase=False)
@example(texts=["a\0 a", "a a\0\0"], again=["\0"], kind="whitespace", lowercase=False)
def test_as_line_by_line(texts, again, kind, lowercase):
    tokenizer = build_tokenizer(kind, lowercase=lowercase)
    reader = FastIds(tokenizer, VOCABULARY.encode)
    for block in (texts, again, texts):  # later blocks find what the first one taught
        assert fast(reader, block) == plain(tokenizer, block)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(max_size=8), max_size=4), kind=st.sampled_from(["characters", "bytes"]))
def test_other_tokenizers_go_line_by_line(texts, kind):
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    tokenizer = build_tokenizer(kind)
    assert fast(FastIds(tokenizer, VOCABULARY.encode), texts) == plain(tokenizer, texts)


def test_joiners_go_line_by_line():
    tokenizer = build_tokenizer("words", joiner=True)
    vocabulary = Vocabulary.build(["Hello", "￭,", "world"])
    assert fast(FastIds(tokenizer, vocabulary.encode), ["Hello, world"]) == [
        vocabulary.encode(["Hello", "￭,", "world"])
    ]


def test_more_lines_and_chunks_than_one_pass_takes(monkeypatch):
    monkeypatch.setattr(fast_ids, "_LINES", 3)
    monkeypatch.setattr(fast_ids, "_MOST_CHUNKS", 20)
    tokenizer = build_tokenizer("words")
    numbers = np.random.default_rng(1)
    texts = [" ".join(numbers.choice(["don't", "a", "b-c,", "No.", "5", "x" * 17, f"n{at}"], 6)) for at in range(50)]
    reader = FastIds(tokenizer, VOCABULARY.encode)
    assert fast(reader, texts) == plain(tokenizer, texts)
    assert len(reader._known.numbers) <= 20 + 3 * 6


def test_no_lines():
    ids, offsets = FastIds(build_tokenizer("words"), VOCABULARY.encode).ids_of([])
    assert (ids.tolist(), offsets.tolist()) == ([], [0])


def test_a_vocabulary_without_unk_refuses_a_word_without_a_row():
    reader = FastIds(build_tokenizer("whitespace"), Vocabulary.build(["a"], specials=()).encode)
    assert fast(reader, ["a a"]) == [[0, 0]]
    with pytest.raises(UserError, match="'b' is not in the vocabulary") as caught:
        reader.ids_of(["a b"])
    assert caught.value.code == 65
    fresh = FastIds(build_tokenizer("whitespace"), Vocabulary.build(["a", "aa"], specials=()).encode)
    with pytest.raises(UserError):
        fresh.ids_of(["aa a b"])
    assert fast(fresh, ["a aa", ""]) == [[0, 1], []]


@settings(deadline=None)
@given(
    st.sets(st.binary(min_size=1, max_size=16).filter(lambda value: b"\xff" not in value), max_size=300),
    st.lists(st.binary(min_size=1, max_size=20).filter(lambda value: b"\xff" not in value)),
)
def test_the_table_against_a_dictionary(held, asked):
    strings = sorted(held)
    table = ChunkTable(strings, range(10, 10 + len(strings)))
    expected = dict(zip(strings, range(10, 10 + len(strings)), strict=True))
    asked = [*asked, *strings]
    sizes = np.array([len(value) for value in asked], np.int64)
    found = table.find(*contents(b"".join(asked), np.cumsum(sizes) - sizes, sizes))
    assert found.tolist() == [expected.get(value, -1) for value in asked]
