import re
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.errors import ExitCode, UserError
from seqcli.text import marks, words
from seqcli.text.tokenizers import KINDS, Bytes, Characters, Joined, Tokenized, Whitespace, Words, build_tokenizer

ODD = st.text(alphabet="aB9é .,'’-￭▁％0\t\x0b\x1c\x85\u2028\u3000\r\0\ufeff\u0301\u200d👩🇮ि\"nt@#/:_")
SPACES = "".join(character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace())
ANY = st.one_of(st.text(), ODD).filter(lambda text: "\n" not in text)
ASCII = st.text(alphabet=[chr(code) for code in range(128) if code != 10])


def test_white_space_is_what_str_isspace_says() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert re.findall(f"[{marks.WHITE_SPACE}]", every) == [character for character in every if character.isspace()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Angela's friend didn't pay Rs. 5,000.50, OK?", "Angela 's friend did n't pay Rs. 5,000.50 , OK ?"),
        ("The U.S. and AT&T's well-known plan B.", "The U.S. and AT&T 's well-known plan B ."),
        (
            "Mail a.b+c@example.co.in, see https://example.org/a?b=c#d.",
            "Mail a.b+c@example.co.in , see https://example.org/a?b=c#d .",
        ),
        ("(www.example.com/y).", "( www.example.com/y ) ."),
        ("@mohan's #NLP rocks!!! :-)", "@mohan 's #NLP rocks !!! :-)"),
        (
            "Mr. O'Brien can't've won; the boys' '90s -5 .5 ...",
            "Mr. O'Brien ca n't 've won ; the boys ' '90s -5 .5 ...",
        ),
        ("So do I. Then J. R. Smith--Jr. left", "So do I . Then J. R. Smith -- Jr. left"),
        ("At 12:30 p.m. on 2024-11-21, No. 5 said no.", "At 12:30 p.m. on 2024-11-21 , No. 5 said no ."),
        ("The end.Start report.pdf and/or 1/2", "The end . Start report.pdf and / or 1/2"),
        ("mid-1990s, 3.5% of $5.00 or Rs.500", "mid-1990s , 3.5 % of $ 5.00 or Rs. 500"),
        ("U.S.-based e.g. cats, dogs, etc.", "U.S.-based e.g. cats , dogs , etc."),
        ("हिन्दी में नमस्ते।", "हिन्दी में नमस्ते ।"),
        ("“Naïve” didn’t: l’été, Größe.", "“ Naïve ” did n’t : l’été , Größe ."),
        ("👩\u200d👩\u200d👧🇮🇳🇩🇪👍🏽e\u0301a", "👩\u200d👩\u200d👧 🇮🇳 🇩🇪 👍🏽 e\u0301a"),
        ("tokens 's did n't U.S. stay", "tokens 's did n't U.S. stay"),
        (" \t ", ""),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert Words().tokenize(text) == expected.split()


@given(ASCII)
def test_words_of_ascii_are_the_same_by_both_patterns(text: str) -> None:
    assert words._pattern(True).findall(text) == words._pattern(False).findall(text)


@given(ANY)
def test_words_cover_everything_but_white_space(text: str) -> None:
    tokens = Words().tokenize(text)
    assert "".join(tokens) == "".join(text.split())
    assert all(len(token.split()) == 1 for token in tokens)


@pytest.mark.parametrize("unit", ["A.", "a@", "a'", "a+", ".", "http://)", "No.", "'", "a.", "1,"])
@pytest.mark.parametrize("script", ["", "é"])
def test_words_take_time_linear_in_the_line(unit: str, script: str) -> None:
    from time import process_time

    def seconds(size: int) -> float:
        text = script + unit * size
        start = process_time()
        Words().tokenize(text)
        return process_time() - start

    seconds(10)
    assert seconds(50_000) < 3.0  # linear: about 0.1; quadratic: ten and more


@given(ANY)
def test_exact_kinds_give_the_text_back(text: str) -> None:
    for tokenizer in (Characters(), Bytes(), Joined(Words()), Joined(Whitespace())):
        assert tokenizer.reversible
        tokens = tokenizer.tokenize(text)
        assert tokenizer.detokenize(tokens) == text
        assert " ".join(tokens).split() == tokens  # survives a line of output


@given(ANY)
def test_offsets_point_at_the_tokens(text: str) -> None:
    for tokenizer in (Words(), Whitespace(), Tokenized()):
        assert [text[start:end] for start, end in tokenizer.offsets(text)] == tokenizer.tokenize(text)
    assert [marks.mark(text[start:end]) for start, end in Characters().offsets(text)] == Characters().tokenize(text)


@given(ANY, st.sampled_from([kind for kind in KINDS if kind != "sentencepiece"]), st.booleans(), st.booleans())
def test_every_token_has_a_place_and_none_stands_before_the_last(
    text: str, kind: str, lowercase: bool, joiner: bool
) -> None:
    joiner = joiner and kind in ("words", "whitespace")
    tokenizer = build_tokenizer(kind, lowercase=lowercase, joiner=joiner)
    offsets = tokenizer.offsets(text)
    assert len(offsets) == len(tokenizer.tokenize(text))
    assert all(0 <= start < end <= len(text) for start, end in offsets)
    assert all(before[0] <= after[0] and before[1] <= after[1] for before, after in pairwise(offsets))
    covered = {place for start, end in offsets for place in range(start, end)}
    left_out = {text[place] for place in range(len(text)) if place not in covered}
    assert left_out <= set(" " if joiner else "" if kind in ("characters", "bytes") else SPACES)


@given(ANY)
def test_lowercasing_keeps_the_number_of_tokens(text: str) -> None:
    lowered = build_tokenizer("words", lowercase=True).tokenize(text)
    assert len(lowered) == len(Words().tokenize(text))


def test_joiners_stand_on_the_side_that_is_no_word() -> None:
    tokens = build_tokenizer("words", joiner=True).tokenize('Say  "hello, world" (didn\'t he).')
    assert " ".join(tokens) == 'Say ￭▁▁￭ "￭ hello ￭, world ￭" (￭ did ￭n\'t he ￭) ￭.'


def test_marks_in_the_text_are_escaped() -> None:
    assert Characters().tokenize("a ▁％\t￭") == ["a", "▁", "％2581", "％ff05", "％0009", "％ffed"]
    assert marks.unmark("％zzzz ％d800") == "％zzzz ％d800"


def test_characters_are_grapheme_clusters() -> None:
    assert Characters().tokenize("e\u0301 नि🇮🇳👍🏽") == ["e\u0301", "▁", "नि", "🇮🇳", "👍🏽"]


def test_bytes() -> None:
    assert Bytes().tokenize("é ") == ["<0xC3>", "<0xA9>", "<0x20>"]
    assert Bytes().detokenize(["<0xC3>", "<0x41>"]) == "\ufffdA"
    with pytest.raises(UserError, match="'é' is not a byte token"):
        Bytes().detokenize(["é"])


@pytest.mark.parametrize(
    "text",
    [
        "Angela's friend didn't pay $5.00 (3.5%), OK?",
        'She said "well, yes" and "no" -- twice.',
        "It's 'quoted'; the boys' ball, and/or 1/2.",
        "“Nice,” he’ll say… pages 5–6!!!",
        "Wait... what?!",
    ],
)
def test_words_without_joiner_get_english_spacing(text: str) -> None:
    assert Words().detokenize(Words().tokenize(text)) == text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"kind": "wrods"}, ExitCode.USAGE, "Did you mean 'words'?"),
        ({"kind": "zzz"}, ExitCode.USAGE, "Choose one of whitespace, words, characters, bytes, sentencepiece."),
        ({"kind": "bytes", "joiner": True}, ExitCode.USAGE, "takes no joiner"),
        ({"kind": "sentencepiece"}, ExitCode.USAGE, "needs a model file"),
    ],
)
def test_wrong_requests(arguments: dict, code: ExitCode, message: str) -> None:
    with pytest.raises(UserError) as caught:
        build_tokenizer(**arguments)
    assert caught.value.code == code
    assert message in str(caught.value)


def test_kinds_are_frozen_and_picklable() -> None:
    import pickle

    assert KINDS == ("whitespace", "words", "characters", "bytes", "sentencepiece")
    for kind in KINDS[:4]:
        tokenizer = pickle.loads(pickle.dumps(build_tokenizer(kind, lowercase=True)))
        assert tokenizer.kind == kind
        assert tokenizer.detokenize(tokenizer.tokenize("A b")) == "a b"
