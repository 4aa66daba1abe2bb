import pickle
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.errors import ExitCode, UserError
from seqcli.text.pieces import SentencePieces, TooManyPieces, train_sentencepiece
from seqcli.text.tokenizers import build_tokenizer

SUBJECTS = ("The farmer", "My sister", "A young doctor", "Our neighbour", "The old captain")
ENDINGS = ("walks to the river", "is reading a newspaper", "waited for the train", "cooks rice and lentils")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(
        "".join(
            f"{who} {does} every {day}.\n"
            for who in SUBJECTS
            for does in ENDINGS
            for day in ("morning", "Sunday", "winter")
        )
    )
    return path


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_trained_twice_gives_the_same_bytes(corpus: Path, tmp_path: Path, model_type: str) -> None:
    models = [tmp_path / "one" / "a.model", tmp_path / "b.model"]
    models[0].parent.mkdir()
    for model in models:
        report = train_sentencepiece([corpus], 50, model, model_type)
        assert (report.pieces, report.lines, report.left_out) == (50, 60, 0)
    assert models[0].read_bytes() == models[1].read_bytes()
    tokenizer = SentencePieces(models[0])
    text = "My sister walks to the river."
    pieces = tokenizer.tokenize(text)
    assert "".join(pieces) == "▁" + text.replace(" ", "▁")
    assert tokenizer.detokenize(pieces) == text
    assert tokenizer.pieces()[:3] == ["<unk>", "<s>", "</s>"]
    assert len(tokenizer.pieces()) == 50
    assert pickle.loads(pickle.dumps(tokenizer)).tokenize(text) == pieces
    lowered = build_tokenizer("sentencepiece", models[0], lowercase=True)
    assert lowered.tokenize("MY River") == tokenizer.tokenize("my river") != tokenizer.tokenize("MY River")


@pytest.fixture(scope="module", params=[False, True], ids=["", "byte_fallback"])
def pieces_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import sentencepiece

    prefix = tmp_path_factory.mktemp("pieces") / "a"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["My sister walks to the river", "the cat sat in the sun", "no fish in winter"] * 20),
        model_prefix=str(prefix),
        vocab_size=290 if request.param else 30,
        byte_fallback=request.param,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return prefix.with_suffix(".model")


@settings(deadline=None)
@given(st.text(alphabet="My siste\t \u3000walkséⅫﬁ日\u0301👩"), st.booleans())
def test_offsets_are_those_of_the_text_as_given(pieces_model: Path, text: str, lowercase: bool) -> None:
    tokenizer = build_tokenizer("sentencepiece", pieces_model, lowercase=lowercase)
    places = tokenizer.offsets(text)
    assert len(places) == len(tokenizer.tokenize(text))
    assert all(0 <= start <= end <= len(text) for start, end in places)
    assert all(before[0] <= after[0] and before[1] <= after[1] for before, after in pairwise(places))
    covered = {place for start, end in places for place in range(start, end)}
    assert covered == {place for place, character in enumerate(text) if character not in "\t \u3000"}


@settings(deadline=None)
@given(st.lists(st.sampled_from(["My", "sister", "walks", "the", "cat"])), st.sampled_from([" ", "  ", "\t \t"]))
def test_offsets_of_pieces_of_known_words(pieces_model: Path, words: list[str], space: str) -> None:
    tokenizer, text = build_tokenizer("sentencepiece", pieces_model), space.join(words)
    assert [text[start:end] for start, end in tokenizer.offsets(text)] == [
        piece.removeprefix("▁") for piece in tokenizer.tokenize(text)
    ]


@pytest.mark.parametrize(
    ("size", "code", "message"),
    [
        (
            5000,
            ExitCode.USAGE,
            r"the corpus is too small for 5,000 pieces: it gives \d+ at most\. Use --size \d+ or less",
        ),
        (
            4,
            ExitCode.USAGE,
            r"a vocabulary of 4 pieces is too small: the characters of the corpus alone need \d+\. Use --size \d+ or more",
        ),
        (0, ExitCode.USAGE, "too small"),
    ],
)
def test_sizes_that_do_not_fit(corpus: Path, tmp_path: Path, size: int, code: ExitCode, message: str) -> None:
    out = tmp_path / "sp.model"
    with pytest.raises(UserError, match=message) as caught:
        train_sentencepiece([corpus], size, out)
    assert caught.value.code == code
    assert not out.exists()


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_as_many_pieces_as_the_text_gives(corpus: Path, tmp_path: Path, model_type: str) -> None:
    out = tmp_path / "sp.model"
    with pytest.raises(TooManyPieces) as caught:
        train_sentencepiece([corpus], 5000, out, model_type)
    train_sentencepiece([corpus], caught.value.most, out, model_type)
    assert len(SentencePieces(out).pieces()) == caught.value.most
    with pytest.raises(TooManyPieces):
        train_sentencepiece([corpus], caught.value.most + 1, out, model_type)


def normalized(model: Path, text: str) -> str:
    """A text as sentencepiece itself normalises it, without the space that it puts in front."""
    import sentencepiece

    return str(sentencepiece.SentencePieceProcessor(model_file=str(model)).Normalize(text)).replace("▁", " ").strip(" ")


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), st.text(alphabet="My siste\t \u3000walkséⅫﬁ日\u0301👩▁")))
def test_a_round_trip_gives_the_normalized_text(pieces_model: Path, text: str) -> None:
    """Whatever the characters: those that the model never saw come back as they are."""
    tokenizer = build_tokenizer("sentencepiece", pieces_model)
    assert tokenizer.detokenize(tokenizer.tokenize(text)) == normalized(pieces_model, text)


def test_bad_corpora(corpus: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.txt"
    blank.write_text("\n  \n")
    with pytest.raises(UserError, match="no text to train on"):
        train_sentencepiece([blank], 50, tmp_path / "sp.model")
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError, match=r"latin.txt:1: invalid UTF-8 at byte 4"):
        train_sentencepiece([corpus, latin], 50, tmp_path / "sp.model")
    with pytest.raises(UserError) as caught:
        train_sentencepiece([tmp_path / "none.txt"], 50, tmp_path / "sp.model")
    assert caught.value.code == ExitCode.IO
    with pytest.raises(UserError, match="unknown model type 'bp'"):
        train_sentencepiece([corpus], 50, tmp_path / "sp.model", "bp")


def test_nul_and_long_lines_do_not_stop_training(corpus: Path, tmp_path: Path) -> None:
    with corpus.open("a") as handle:
        handle.write("a\0b\n" + "z" * (2**20 + 1) + "\n")
    report = train_sentencepiece([corpus], 50, tmp_path / "sp.model")
    assert (report.lines, report.left_out) == (61, 1)


def test_what_is_no_model(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a sentencepiece model") as caught:
        SentencePieces(corpus)
    assert caught.value.code == ExitCode.DATA
    empty = tmp_path / "empty.model"
    empty.write_bytes(b"")
    with pytest.raises(UserError, match="not a sentencepiece model"):
        SentencePieces(empty)
    with pytest.raises(UserError) as caught:
        SentencePieces(tmp_path / "none.model")
    assert caught.value.code == ExitCode.IO
