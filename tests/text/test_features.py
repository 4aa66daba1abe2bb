"""What a spelling tells: shapes, affixes and characters by hand, and the files of a model read back."""

import pytest

from seqcli.text.case import lower
from seqcli.text.fast_ids import FastIds
from seqcli.text.features import MAX_CHARACTERS, AffixKind, TokenFeatures, word_shape
from seqcli.text.tokenizers import Lowercased
from seqcli.text.words import Words

KINDS = [AffixKind("prefix", 2), AffixKind("suffix", 3), AffixKind("shape")]
COUNTS = {"Paris": 3, "paris": 2, "dog": 1, "<PAD>": 1, "3,000": 1}


@pytest.mark.parametrize(
    ("token", "shape"),
    [
        ("Chennai", "Xx"),
        ("U.S.", "X.X."),
        ("3,000", "d,d"),
        ("McDonald", "XxXx"),
        ("iPhone14Pro", "xXxdXx"),
        ("dog", "x"),
        ("...", "."),
        ("日本", "x"),
        ("Éa", "Xx"),
        ("", ""),
        ("a\tb", "x\tx"),
        ("x" * 40 + "X", "x"),
        ("٣٤", "d"),
    ],
)
def test_shapes(token, shape):
    assert word_shape(token) == shape


def test_affixes():
    assert [kind.of("Mumbai") for kind in KINDS] == ["mu", "bai", "Xx"]
    assert [kind.of("I") for kind in KINDS] == ["i", "i", "X"]
    assert [kind.name for kind in KINDS] == ["prefix-2", "suffix-3", "shape"]


def fitted(**options):
    return TokenFeatures.fit(COUNTS, lowercase=True, characters=True, affix_kinds=KINDS, **options)


def test_arrays_by_hand():
    features = fitted()
    assert features.words.tokens == ("<PAD>", "<UNK>", "paris", "3,000", "<pad>", "dog")
    assert features.words.counts == (0, 0, 5, 1, 1, 1)
    assert features.characters.tokens[:2] == ("<PAD>", "<UNK>")
    assert "g" not in features.characters  # seen once: an unknown character must be met in training
    arrays = features.encode(["PARIS", "dog", "<PAD>", "", "cat"])
    assert arrays.words.tolist() == [2, 5, 4, 1, 1]
    assert TokenFeatures.fit(COUNTS).encode(["<PAD>", "<UNK>"]).words.tolist() == [1, 1]  # never the padding row
    assert arrays.characters.shape == (5, 5)
    assert arrays.characters[1].tolist()[2:] == [1, 0, 0]
    assert arrays.characters[3].tolist() == [0] * 5
    assert arrays.affixes.shape == (5, 3)
    assert arrays.affixes[0, 0] == features.affixes[KINDS[0]].id_of("pa")
    assert arrays.affixes[4].tolist()[:2] == [1, 1]


def test_long_words_keep_both_ends():
    features = TokenFeatures.fit({"ab" * 50: 2, "cd" * 50: 2}, characters=True)
    row = features.encode(["a" * 40 + "b" * 40]).characters[0]
    assert len(row) == MAX_CHARACTERS
    assert row.tolist() == [features.characters.id_of("a")] * 16 + [features.characters.id_of("b")] * 16
    assert features.encode([""]).characters.shape == (1, 1)
    assert features.encode([]).characters.shape == (0, 1)


def test_affix_min_count_counts_words_and_extra_words_get_rows():
    features = fitted(affix_min_count=2, extra_words=["zebra", "paris"], min_count=2)
    assert features.affixes[KINDS[0]].tokens == ("<PAD>", "<UNK>", "pa")
    assert features.words.tokens == ("<PAD>", "<UNK>", "paris", "zebra")
    assert features.words.counts[3] == 0


def test_save_and_load(tmp_path):
    features = fitted()
    names = features.save(tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    again = TokenFeatures.load(tmp_path, lowercase=True, characters=True, affix_kinds=KINDS)
    assert (again.words, again.characters, again.affixes) == (features.words, features.characters, features.affixes)
    tokens = ["Paris", "dog", "Zürich", "\u2028", "a\\b"]
    for mine, theirs in zip(vars(again.encode(tokens)).values(), vars(features.encode(tokens)).values(), strict=True):
        assert mine.tolist() == theirs.tolist()
    plain = TokenFeatures.fit(COUNTS)
    assert plain.encode(["dog"]).characters is None
    assert plain.encode(["dog"]).affixes is None


@pytest.mark.parametrize("word", ["İstanbul", "DİYARBAKIR", "Straße", "ΣΊΣΥΦΟΣ", "ÉCOLE"])
def test_a_word_is_lower_cased_alike_in_a_vocabulary_and_by_a_tokenizer(word):
    """İ has a longer lower case than any other letter: one function decides what becomes of it."""
    features = TokenFeatures.fit({word: 2}, lowercase=True, affix_kinds=KINDS)
    (token,) = Lowercased(Words()).tokenize(word)
    assert features.words.tokens[2:] == (token,)
    for spelled in (word, token):
        arrays = features.encode([spelled])
        assert arrays.words.tolist() == [2]
        assert arrays.affixes[0, :2].tolist() == [2, 2]
    assert FastIds(Lowercased(Words()), features.words.encode).ids_of([f"{word} {token}"])[0].tolist() == [2, 2]
    assert lower(word) == token
    assert len(token) == len(word)
