"""Labelled texts: the format, readable labels, graded ratings, files that are not UTF-8, and the sets themselves."""

import dataclasses
import hashlib
import json
import re
import runpy
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data import catalogue
from seqcli.data.catalogue import EMBEDDED, DataFile, DataSet, Division, Grade, cached_path
from seqcli.data.chunks import chunks
from seqcli.data.corpus import open_corpus
from seqcli.data.divide import divide, graded
from seqcli.data.fetch.obtain import obtain
from seqcli.data.formats import Reading, guess_format, guess_from_lines, read_examples
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig

LABELLED = Reading("labelled")


def write(tmp_path, text, name="train.txt"):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def read(path, reading=LABELLED):
    return [(example.target, example.source) for example in read_examples(path, reading)]


def run(*arguments, cwd):
    done = subprocess.run([sys.executable, "-m", "seqcli", *map(str, arguments)], capture_output=True, cwd=cwd)
    return done.stdout.decode(), done.stderr.decode(), done.returncode


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    return tmp_path


# The labelled format


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 a fine film .", ("1", "a fine film .")),
        ("good\ta\tfilm", ("good", "a\tfilm")),
        ("DESC:manner How  did ? ", ("DESC:manner", "How  did ? ")),
        ("0", ("0", "")),
        ("0 ", ("0", "")),
        ('1 "quoted" text', ("1", '"quoted" text')),
        ('"1 x" y', ('"1', 'x" y')),
        ("1 a\u2028b\x85c", ("1", "a\u2028b\x85c")),
    ],
)
def test_a_label_stands_before_the_first_space_or_tab(tmp_path, line, expected):
    assert read(write(tmp_path, f"\n{line}\r\n \t\n")) == [expected]


def test_fasttexts_mark_is_taken_off_and_its_files_are_known(tmp_path):
    path = write(tmp_path, "__label__a one text\n__label__b __label__c-d\ttwo __label__e\n__label__a\n")
    assert read(path) == [("a", "one text"), ("b c-d", "two __label__e"), ("a", "")]
    assert guess_format(path) == "labelled"
    assert guess_from_lines(["__label__a x", "no"]) != "labelled"
    assert guess_from_lines(["1 a fine film .", "0 a bad one ."]) != "labelled"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 a\n b c\n", "{path}:2: no label: the line does not begin with one, but with white space"),
        ("__label__x a\nb c\n", "{path}:2: no label: the line does not begin with '__label__', as the first one does"),
        (
            "__label__x a\n__label__ c\n",
            "{path}:2: no label: the line does not begin with '__label__', as the first one does",
        ),
    ],
)
def test_a_line_without_a_label(folder, text, message):
    path = write(folder, text)
    assert run("data", "stats", "--format", "labelled", "train.txt", cwd=folder) == (
        "",
        "error: " + message.format(path="train.txt") + "\n",
        65,
    )
    out, err, code = run("data", "lint", "--format", "labelled", "train.txt", cwd=folder)
    assert (out, code) == (message.format(path="train.txt") + "\n", 65)
    assert err.startswith("1 fault: 1 format")
    assert len(read_all_but_errors(path)) == 1


def read_all_but_errors(path):
    return list(read_examples(path, LABELLED, on_error=lambda error: None))


@given(
    st.lists(st.tuples(st.sampled_from(["1", "good", "b:x"]), st.text("ab \u2028é", max_size=8)), min_size=1),
    st.booleans(),
)
def test_what_is_written_is_read_and_parts_are_the_whole(tmp_path_factory, pairs, marked):
    path = tmp_path_factory.mktemp("labelled") / "a.txt"
    prefix = "__label__" if marked else ""
    path.write_text("".join(f"{prefix}{label} {text.strip()}\n" for label, text in pairs), newline="")
    whole = list(read_examples(path, LABELLED))
    assert [(one.target, one.source) for one in whole] == [(label, text.strip().lstrip(" \t")) for label, text in pairs]
    parts = chunks(path, "labelled", 16)
    assert [one for part in parts for one in read_examples(part, LABELLED)] == whole


def test_the_format_has_no_columns():
    with pytest.raises(UserError, match="the labelled format has no columns"):
        next(read_examples("x", Reading("labelled", columns={"label": 0})))


# Bad input at the prompt


def test_a_tab_inside_a_text_is_one_column_too_many(folder):
    write(folder, "a fine film\tgood\na bad\tfilm\tbad\n", "train.tsv")
    message = "train.tsv:2: 3 tab-separated columns where the file's first line has 2\n"
    assert run("data", "stats", "train.tsv", "--format", "tsv", cwd=folder) == ("", f"error: {message}", 65)
    assert run("data", "lint", "train.tsv", "--format", "tsv", cwd=folder)[0] == message


def test_quotes_are_plain_characters(folder):
    path = write(folder, '"a ""film"\tgood\n\'x\t"bad"\n', "train.tsv")
    assert read(path, Reading("tsv")) == [("good", '"a ""film"'), ('"bad"', "'x")]
    out, _, code = run("data", "stats", "train.tsv", "--format", "tsv", "--json", cwd=folder)
    assert code == 0
    assert json.loads(out)["splits"][0]["labels"] == {"good": 1, '"bad"': 1}


def test_one_label_only_and_empty_texts(folder):
    write(folder, "1 a\n1 b\n1\n1\n")
    assert run("data", "lint", "--format", "labelled", "train.txt", cwd=folder) == (
        "train.txt: every example has one and the same label, '1': there is nothing to tell apart\n",
        "note: train.txt:3: labelled examples whose text is empty: 2, this one first\n1 fault: 1 one label only\n",
        65,
    )
    write(folder, "1 a\n0\n", "test.txt")
    out, err, _ = run("data", "lint", "--format", "labelled", "train.txt", "test.txt", cwd=folder)
    assert "test.txt:2: label '0' does not occur in the training data (times here: 1; this sentence" in out
    assert "test.txt:1: the same sentence stands in another split, at train.txt:1" in out
    assert "one label only" in err
    write(folder, "1 a\n0\n")
    assert run("data", "lint", "--format", "labelled", "train.txt", cwd=folder)[2] == 0


# Readable labels


def test_labels_get_their_readable_names_and_a_recipes_own_file_too(tmp_path, monkeypatch):
    embedded = tmp_path / "embedded" / "toy"
    embedded.mkdir(parents=True)
    (embedded / "train.txt").write_text("0 a\n1 b\n")
    splits = {"train": ("train.txt",)}
    entry = DataSet(
        "toy",
        "d",
        "classification",
        "l",
        "c",
        "s",
        "labelled",
        splits,
        ({"kind": "embedded"},),
        labels={"0": "bad", "1": "good"},
    )
    monkeypatch.setattr("seqcli.data.fetch.obtain.EMBEDDED", embedded.parent)
    monkeypatch.setattr(catalogue, "data_set", lambda name: entry)
    own = write(tmp_path, "1 x\ngood y\nodd z\n", "own.txt")
    corpus = open_corpus(DataConfig(corpus="toy", test=str(own)))
    assert corpus.reading("test").format == "labelled"
    assert [one.target for one in corpus.examples("train")] == ["bad", "good"]
    assert [one.target for one in corpus.examples("test")] == ["good", "good", "odd"]
    without = open_corpus(DataConfig(train=str(embedded / "train.txt"), format="labelled"))
    assert without.fingerprint("train") != corpus.fingerprint("train")  # other labels, another cache
    assert read(own, dataclasses.replace(LABELLED, labels={})) == [("1", "x"), ("good", "y"), ("odd", "z")]


# Graded ratings


@pytest.mark.parametrize(
    ("rating", "label"),
    [
        ("-4", "1"),
        ("-2.01", "1"),
        ("-2", "2"),
        ("-0.51", "2"),
        ("-0.5", "3"),
        ("0", "3"),
        ("0.5", "4"),
        ("1.99", "4"),
        ("2", "5"),
        ("4", "5"),
    ],
)
def test_a_rating_on_a_cut_belongs_to_the_grade_above(rating, label):
    grade = Grade(1, 2, (-2, -0.5, 0.5, 2), ("1", "2", "3", "4", "5"))
    assert graded(grade, f"7_1\t{rating}\ta text\tfile") == f"a text\t{label}"


def test_groups_count_before_ratings_are_left_out():
    grade = Grade(1, 2, (0,), ("bad", "good"), (0,))
    rule = Division(
        ("x/A.txt", "B.txt"),
        label="file",
        together=(r"^(\d+)_\d+\t.*\t(\w+)$", r"^\S+\t\S+\t(.*)\t"),
        every=3,
        take={"train": None, "test": (2,)},
        grade=grade,
    )
    made = divide(
        rule,
        {
            "x/A.txt": "1_1\t1.5\tFine .\r\n1_2\t0.0\tSo so.\r\n2_1\t-1\tPoor.\r\n",
            "B.txt": "1_1\t-0.1\tHm.\n9\t1\tfine  .\n10\t2\tGood.\n",
        },
    )
    # Groups: review 1 of A with the equal text of 9; review 2 of A; review 1 of B; 10.
    assert made == {"train": "Fine .\tgood\nPoor.\tbad\nfine  .\tgood\nGood.\tgood\n", "test": "Hm.\tbad\n"}


# A file that is not UTF-8 at its source


def test_a_source_in_latin_1_is_checked_and_written_as_utf_8(server):
    raw, text = "1 caf\xe9\n".encode("latin-1"), "1 café\n".encode()
    server.put("/data/a.all", raw)
    source = {
        "kind": "https",
        "url": server.url + "/data/",
        "paths": {"a.txt": "a.all"},
        "recoded": {"a.txt": {"encoding": "latin-1", "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}},
    }
    entry = DataSet(
        "toy",
        "d",
        "classification",
        "l",
        "c",
        "s",
        "labelled",
        {"train": ("a.txt",)},
        (source,),
        files={"a.txt": DataFile("a.txt", hashlib.sha256(text).hexdigest(), len(text))},
    )
    path = obtain(entry, "a.txt")
    assert path == cached_path(entry, "a.txt")
    assert path.read_bytes() == text
    assert [one.name for one in path.parent.iterdir() if one.suffix != ".lock"] == ["a.txt"]
    path.unlink()
    server.put("/data/a.all", raw + b"1 x\n")
    with pytest.raises(UserError, match="wrong checksum") as caught:
        obtain(entry, "a.txt")
    assert caught.value.code == 74
    assert not path.exists()


def test_trec_is_what_latin_1_makes_of_the_published_file(mirror):
    entry = catalogue.data_set("trec")
    raw = entry.sources[0]["recoded"]["TREC.train.all.txt"]
    data = obtain(entry, "TREC.train.all.txt").read_bytes().decode().encode("latin-1")
    assert (len(data), hashlib.sha256(data).hexdigest()) == (raw["bytes"], raw["sha256"])


# The sets


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "sst-2",
            [
                {"positive": 3610, "negative": 3310},
                {"positive": 444, "negative": 428},
                {"negative": 912, "positive": 909},
            ],
        ),
        (
            "sst-5",
            [
                {"1": 1092, "2": 2218, "3": 1624, "4": 2322, "5": 1288},
                {"1": 139, "2": 289, "3": 229, "4": 279, "5": 165},
                {"1": 279, "2": 633, "3": 389, "4": 510, "5": 399},
            ],
        ),
        (
            "trec",
            [
                {
                    "description": 1162,
                    "entity": 1250,
                    "abbreviation": 86,
                    "human": 1223,
                    "location": 835,
                    "number": 896,
                },
                {"description": 138, "entity": 94, "abbreviation": 9, "human": 65, "location": 81, "number": 113},
            ],
        ),
    ],
)
@pytest.mark.mirror
def test_the_published_sets_have_their_labels(name, labels, mirror):
    corpus = open_corpus(DataConfig(corpus=name))
    assert [Counter(example.target for example in corpus.examples(split)) for split in corpus.splits] == labels


def test_rated_sentences_in_two_and_five_grades_share_rule_and_files():
    two, five = catalogue.data_set("rated-sentences"), catalogue.data_set("rated-sentences-5")
    assert dataclasses.replace(two.made, grade=None) == dataclasses.replace(five.made, grade=None)
    assert [two.file(name) for name in two.made.of] == [five.file(name) for name in two.made.of]
    assert (two.made.grade.cuts, two.made.grade.without) == ((0,), (0,))
    assert five.made.grade.cuts == (-2, -0.5, 0.5, 2)
    found = two.made.together[0]
    assert re.findall(found, "12_3\t-0.5\ta text\tamazonReviewSnippets_GroundTruth") == [
        ("12", "amazonReviewSnippets_GroundTruth")
    ]
    assert re.findall(found, "12\t-0.5\ta 1_2 text\ttweets_GroundTruth") == []


# order-matters


ORDER = EMBEDDED / "order-matters"
SCRIPT = Path(__file__).resolve().parents[2] / "data" / "order_matters.py"


def order_pairs(split):
    lines = (ORDER / f"{split}.tsv").read_text().split("\n")[:-1]
    rows = [line.split("\t") for line in lines]
    assert all(len(row) == 2 for row in rows)
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert {first[1], second[1]} == {"positive", "negative"}
        yield (first[0], second[0])


def bag(sentence, n):
    words = ["<s>", *sentence.split(), "</s>"]
    return Counter(words) if n == 1 else Counter(pairwise(words))


@pytest.mark.parametrize(("split", "share"), [("train", 0.95), ("dev", 1), ("test", 1)])
def test_no_bag_tells_the_two_of_a_pair_apart(split, share):
    every = list(order_pairs(split))
    assert all(bag(one, 1) == bag(two, 1) and one != two for one, two in every)
    assert sum(bag(one, 2) == bag(two, 2) for one, two in every) >= share * len(every)
    equal = [pair for pair in every if bag(pair[0], 2) == bag(pair[1], 2)]
    without = [tuple(re.sub("[.,] ", "", text + " ") for text in pair) for pair in equal]
    assert all(bag(one, 2) == bag(two, 2) for one, two in without)  # not even where punctuation is dropped


def test_the_lectures_pair_is_there_and_splits_share_no_sentence():
    train, dev, test = ([text for pair in order_pairs(split) for text in pair] for split in ("train", "dev", "test"))
    assert "good movie , not bad at all\tpositive\n" in (ORDER / "train.tsv").read_text()
    assert "bad movie , not good at all\tnegative\n" in (ORDER / "train.tsv").read_text()
    assert (len(set(train)), len(set(dev)), len(set(test))) == (2400, 300, 400)
    assert not set(train) & {*dev, *test}
    assert not set(dev) & set(test)
    words = {word for text in train for word in text.split()}
    new = [text for text in test if set(text.split()) - words]
    assert 40 <= len(new) <= 120
    assert not [text for text in dev if set(text.split()) - words]


def test_the_files_are_what_the_script_writes():
    made = runpy.run_path(str(SCRIPT))["files"]()
    assert {path.name: path.read_text() for path in ORDER.glob("*.tsv")} == made


def test_the_catalogue_tells_its_size():
    texts = [text for split in ("train", "dev", "test") for pair in order_pairs(split) for text in pair]
    words = sum(len(text.split()) for text in texts)
    assert catalogue.data_set("order-matters").size == f"{len(texts):,} sentences, {words:,} words"


def test_a_linear_bag_of_pairs_of_words_stays_at_chance():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    def rows(split):
        lines = (ORDER / f"{split}.tsv").read_text().split("\n")[:-1]
        return [list(column) for column in zip(*(line.split("\t") for line in lines), strict=True)]

    texts, labels = rows("train")
    vectorizer = CountVectorizer(ngram_range=(1, 2), analyzer="word", token_pattern=r"\S+")
    model = LogisticRegression(max_iter=300).fit(vectorizer.fit_transform(texts), labels)
    texts, labels = rows("test")
    assert model.score(vectorizer.transform(texts), labels) == 0.5
