"""Text: one way to rows, whether tokens come from a column, from a line or many lines at once; pieces; vectors."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from columns import column_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny import run_inside

from seqcli.data.batch import pad_ids
from seqcli.errors import ExitCode, UserError
from seqcli.fields import text as text_module
from seqcli.fields.text import END, RunningTextField, TextField
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.fields import TextFieldConfig
from seqcli.text.pieces import train_sentencepiece

KINDS = ("whitespace", "words", "characters", "bytes", "sentencepiece")
TRAINING = [
    "The cat sat on the mat.",
    "İstanbul'da ISTANBUL istanbul ıstanbul Istanbul",
    "straße STRASSE Straẞe groß",
    "ΟΔΥΣΣΕΥΣ Οδυσσεύς οδυσσευς ΣΑΣ σας ς Σ",
    "e\u0301te\u0301 été A\u030angstro\u0308m İ i\u0307 I\u0307",
    "Mr. Smith paid $3,000 (in 1999)!",
]
ODD = [
    *"aAiIıİsSßẞσςΣéÉ0.,'!-_▁￭<>$",
    "\u0301",
    "\u0307",
    "\u200d",
    "\ufeff",
    "\x1c",
    "\x85",
    "\u2028",
    "\u3000",
    "\xa0",
    "\t",
    "\0",
    " ",
    " ",
    "👩\u200d👩",
]
WORDS = ["The", "MAT.", "İSTANBUL", "İ", "STRASSE", "ΟΔΥΣΣΕΎΣ", "Mr.", "No.", "5", "<UNK>", "<PAD>", "<EOS>", "don't"]
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20)
lines = st.one_of(
    st.lists(st.sampled_from(ODD), max_size=14).map("".join),
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
    anything,
)
spelled = TokensConfig.model_validate({"dim": 3, "characters": {"kind": "cnn"}, "affixes": {"min_count": 1}})
relaxed = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="session")
def pieces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "text.txt").write_text("\n".join(TRAINING * 3), encoding="utf-8")
    for lowercase in (False, True):
        train_sentencepiece(
            [folder / "text.txt"], 58 if lowercase else 68, folder / f"{lowercase}.model", lowercase=lowercase
        )
    return folder


@cache
def fitted(kind, lowercase, pieces, *, flat=False, running=False):
    tokenizer = {"kind": kind}
    if kind == "sentencepiece":
        tokenizer["model"] = str(pieces / f"{lowercase}.model")
    config = TextFieldConfig.model_validate({"tokenizer": tokenizer, "vocabulary": {"lowercase": lowercase}})
    field = RunningTextField(config) if running else TextField(config, None if flat else spelled, flat=flat)
    field.prepare(lambda: iter(()), "", None)
    raws = [field.read(line, "") for line in TRAINING]
    field.fit(column_of([[*raw, END] for raw in raws] if running else raws), [])
    return field


def rows_of(side):
    """What each position of a side is made of: the row of its word, its characters, its affixes."""
    arrays = side.arrays
    if "values" in arrays:
        return np.split(arrays["values"], np.cumsum(side.lengths_B)[:-1])
    index_BT, sized = arrays["index_BT"], list(zip(arrays["index_BT"], side.lengths_B, strict=True))
    assert index_BT.shape[1] == max(1, side.lengths_B.max())
    assert all((index[length:] == 0).all() for index, length in sized)
    assert not any(arrays[name][0].any() for name in ("words_U", "characters_UC", "affixes_UA"))
    return [
        [
            (int(arrays["words_U"][at]), arrays["characters_UC"][at].tolist(), arrays["affixes_UA"][at].tolist())
            for at in index[:length]
        ]
        for index, length in sized
    ]


def test_training_meets_every_kind(pieces):
    """The rows are not all <UNK>, or the tests below would prove little."""
    for kind in KINDS:
        assert len(fitted(kind, True, pieces).words) > 12


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@relaxed
@example(texts=["İstanbul", "i\u0307stanbul", "istanbul"])
@example(texts=["ΟΔΥΣΣΕΥΣ.", "ΣΑΣ ΣΑΣ", "σ ς Σ"])
@example(texts=["Mr. No. 5", "Mr.", "", " "])
@given(texts=st.lists(lines, min_size=1, max_size=6))
def test_a_column_a_line_and_many_lines_have_the_same_rows(pieces, kind, lowercase, texts):
    field = fitted(kind, lowercase, pieces)
    raws = [field.read(text, "") for text in texts]
    at = np.arange(len(texts))[::-1].copy()
    of_column = rows_of(field.over(column_of(raws), []).side(at))[::-1]
    together = rows_of(field.side(raws))
    assert of_column == together
    assert [rows_of(field.side([raw]))[0] for raw in raws] == [_cropped(rows) for rows in together]
    flat = fitted(kind, lowercase, pieces, flat=True)
    ids = [[word for word, _, _ in rows] for rows in together]
    for side in (flat.over(column_of(raws), []).side(np.arange(len(texts))), flat.side(raws), flat.lines(texts)):
        assert side.lengths_B.tolist() == [len(raw) for raw in raws]
        assert [rows.tolist() for rows in rows_of(side)] == ids
    if kind == "whitespace":  # a line of tokens is the tokens
        assert rows_of(field.side([text.split() for text in texts])) == together


def _cropped(rows):
    """Characters padded to the longest of these tokens alone."""
    longest = max([1, *(sum(number != 0 for number in characters) for _, characters, _ in rows)])
    return [(word, characters[:longest], affixes) for word, characters, affixes in rows]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@relaxed
@given(texts=st.lists(lines, min_size=1, max_size=4))
def test_a_running_text_has_the_ids_that_its_lines_have(pieces, kind, lowercase, texts):
    field = fitted(kind, lowercase, pieces, running=True)
    raws = [field.read(text, "") for text in texts]
    column = column_of([[*raw, END] for raw in raws])
    ids = field.ids(column.symbols)[column.values].tolist()
    assert ids == [
        number for text in texts for number in (*field.words.encode(field.tokenizer.tokenize(text)), field.eos)
    ]
    assert [number == field.eos for number in ids] == [symbol == END for raw in raws for symbol in (*raw, END)]


@relaxed
@given(st.lists(st.lists(st.sampled_from([f"w{number}" for number in range(12)]), max_size=5), max_size=12))
def test_a_memory_that_forgets_says_the_same(pieces, raws):
    before = text_module.MAX_REMEMBERED
    field = TextField(TextFieldConfig.model_validate({}), spelled)
    field.fit(column_of([["w1", "w2", "w3"], ["w1", "W10"]]), [])
    try:
        text_module.MAX_REMEMBERED = 4
        for raw in raws:
            assert rows_of(field.side([raw])) == rows_of(field.over(column_of([raw]), []).side(np.array([0])))
    finally:
        text_module.MAX_REMEMBERED = before


@pytest.mark.parametrize("model", ["{kind: bag-of-words}", None], ids=["bag-of-words", "network"])
def test_a_line_and_its_tokens_are_predicted_alike(place, model):
    """İ was lower-cased in one way when tokens came, in another when a line came."""
    (place / "train.tsv").write_text("istanbul büyük\ta\nİSTANBUL güzel\ta\nankara soğuk\tb\nizmir sıcak\tb\n")
    sections = "embedder: {kind: tokens, dim: 4}, encoder: {kind: lstm, dim: 4}, pooling: {kind: max}"
    (place / "city.yaml").write_text(
        "name: city\ntask: {kind: classification}\n"
        "data: {train: train.tsv, dev: train.tsv, format: tsv}\n"
        "source: {kind: text, vocabulary: {lowercase: true}}\n"
        f"model: {model or '{' + sections + ', head: {kind: softmax}}'}\n"
        "training: {epochs: 2}\n"
    )
    assert run_inside("train", "city.yaml", "-q").code == 0
    for text in ("İstanbul", "İSTANBUL Ankara", "istanbul", "ΣΑΣ İ"):
        line, tokens = (
            run_inside("predict", "city", "--top", "2", *more, stdin=text.encode()) for more in ([], ["--tokens"])
        )
        assert (line.code, line.out) == (0, tokens.out)
    known, spelled_lower = (
        run_inside("predict", "city", "--top", "2", stdin=text.encode()).out for text in ("İstanbul", "istanbul")
    )
    assert known == spelled_lower


# -- reading


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (TextField, np.zeros((2, 2)), "x:3: this recipe reads text, and here is none"),
        (RunningTextField, np.zeros((2, 2)), "x:3: the source is no text, and this recipe needs it"),
        (RunningTextField, ["a", ""], "x:3: a token is empty or a line break"),
        (RunningTextField, ["a", "\n"], "x:3: a token is empty or a line break"),
    ],
)
def test_what_is_no_text(field, value, message):
    with pytest.raises(UserError) as caught:
        field(TextFieldConfig.model_validate({})).read(value, "x:3")
    assert str(caught.value).startswith(message)
    assert caught.value.code == ExitCode.DATA


def test_words_keep_their_case_for_their_spelling_only():
    field = TextField(TextFieldConfig.model_validate({"vocabulary": {"lowercase": True}}), spelled)
    field.fit(column_of([["Anna", "anna", "ANNA", "bob", "Bob"]]), [])
    (first,), (second,) = (rows_of(field.side([[token]]))[0] for token in ("Anna", "ANNA"))
    assert first[0] == second[0] == field.words.id_of("anna")
    assert first[1:] != second[1:]


# -- pretrained vectors


@pytest.fixture
def vectors(tmp_path):
    file = tmp_path / "vectors.txt"
    file.write_text("paris 1 1 1\nzebra 2 2 2\n<PAD> 9 9 9\n")
    return file


def with_vectors(file, **more):
    spelling = {"dim": 3, "vectors": {"file": str(file), **more}}
    return TextField(TextFieldConfig.model_validate({}), TokensConfig.model_validate(spelling))


@pytest.mark.parametrize("extend", [False, True])
def test_vectors_of_the_words_that_have_a_row(vectors, extend):
    field = with_vectors(vectors, extend=extend)
    field.fit(column_of([["paris", "oslo"]]), [])
    rows, table = field.sizes().vectors
    found = {field.words.tokens[row]: values for row, values in zip(rows.tolist(), table.tolist(), strict=True)}
    assert found == {"paris": [1, 1, 1], **({"zebra": [2, 2, 2]} if extend else {})}
    assert ("zebra" in field.words) == extend


@pytest.mark.parametrize("extend", [False, True])
def test_vectors_that_are_not_there_stop_a_training(tmp_path, extend):
    field = with_vectors(tmp_path / "nowhere.txt", extend=extend)
    with pytest.raises(UserError, match=r"nowhere\.txt: ") as caught:
        field.fit(column_of([["paris"]]), [])
    assert caught.value.code == ExitCode.IO


def test_a_loaded_field_opens_no_vectors(vectors, tmp_path):
    field = with_vectors(vectors, extend=True)
    field.fit(column_of([["paris", "oslo"]]), [])
    (tmp_path / "run").mkdir()
    field.save(tmp_path / "run")
    vectors.write_text("no vectors at all")
    again = with_vectors(vectors, extend=True)
    again.load(tmp_path / "run")
    assert again.sizes().vectors is None
    assert again.words.tokens == field.words.tokens


# -- shapes


def test_collating_gives_each_different_token_once():
    field = TextField(TextFieldConfig.model_validate({}))
    field.fit(column_of([["a", "b", "b"]]), [])
    side = field.side([["a", "b", "a"], [], ["c"]])
    assert side.lengths_B.tolist() == [3, 0, 1]
    assert len(side.arrays["words_U"]) == 4
    assert set(side.arrays) == {"words_U", "index_BT"}
    words = side.arrays["words_U"][side.arrays["index_BT"]]
    expected = [field.words.id_of("a"), field.words.id_of("b"), field.words.id_of("a"), 1]
    assert words.tolist() == pad_ids(np.array(expected), np.array([3, 0, 1])).tolist()
