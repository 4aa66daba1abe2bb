"""Splits made by a rule of the catalogue: which unit goes where, and files made of fetched ones."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data import catalogue
from seqcli.data.catalogue import DataFile, DataSet, Division, cached_path
from seqcli.data.corpus import open_corpus
from seqcli.data.divide import cut_sentences, divide, groups
from seqcli.data.fetch.obtain import obtain
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig


@given(st.text(max_size=50))
def test_shares_of_the_characters_make_up_the_text(text):
    made = divide(Division(("a",), unit="characters", share={"train": (0, 0.9), "dev": (0.9, 1)}), {"a": text})
    assert made["train"] + made["dev"] == text
    assert len(made["train"]) == int(len(text) * 0.9)


def test_lines_go_by_their_number_and_no_line_is_lost():
    text = "".join(f"{number}\n" for number in range(25))
    rule = Division(("a",), every=10, take={"train": None, "dev": (8,), "test": (9,)})
    made = divide(rule, {"a": text})
    assert (made["dev"], made["test"]) == ("8\n18\n", "9\n19\n")
    assert sorted("".join(made.values()).split(), key=int) == text.split()


def test_units_that_share_a_key_stay_together_even_through_a_third():
    units = ["T:Reel\nK:C\nabc", "T:Jig\nK:C\nd e f", "T:The  REEL\nK:D\ndef", "T:reel\nK:C\nx", "T:\nK:C\ny", "T:\nz"]
    together = ["^T:(.*)", r"^K:.*\n([\s\S]*)"]
    assert groups(units, ["^T:(.*)"]) == [0, 1, 2, 0, 3, 4]  # an empty key is none
    assert groups(units, together) == [0, 1, 1, 0, 2, 3]
    assert groups([*units, "T:Reel\nT:Jig"], together) == [0, 0, 0, 0, 1, 2, 0]


def test_records_without_the_lines_to_drop():
    text = "% book\n\nX:1\nZ:me\nK:C\nabc\n%no\nX:2\nK:D\n\nX:3\nK:E\n"
    rule = Division(
        ("a", "b"), unit="records", record_start="X:", drop="Z:|%", every=2, take={"even": (0,), "odd": (1,)}
    )
    assert divide(rule, {"a": text, "b": "X:4\r\nK:F"}) == {
        "even": "X:1\nK:C\nabc\n\nX:3\nK:E\n",
        "odd": "X:2\nK:D\n\nX:4\nK:F\n",
    }


def test_lines_labelled_with_the_name_of_their_file():
    rule = Division(
        ("x/Czech.txt", "Irish.txt"), label="file", together=(r"(.*)\t",), every=2, take={"a": (0,), "b": (1,)}
    )
    assert divide(rule, {"x/Czech.txt": "Adsit\nAdam\n", "Irish.txt": "adam\nO'Neal\n"}) == {
        "a": "Adsit\tCzech\nO'Neal\tIrish\n",
        "b": "Adam\tCzech\nadam\tIrish\n",
    }


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Thank you. God bless you! And why? 3 reasons.", ["Thank you.", "God bless you!", "And why?", "3 reasons."]),
        ("Mr. Speaker, Gen. U. S. Grant paid $3 to St. Ives.", ["Mr. Speaker, Gen. U. S. Grant paid $3 to St. Ives."]),
        ('He said "Go." "I will." (Applause.) Now', ['He said "Go."', '"I will."', "(Applause.)", "Now"]),
        ("the U.S. Army. No. 5 is here. So am I. Then", ["the U.S. Army.", "No. 5 is here.", "So am I.", "Then"]),
        ("it ended at 5 p.m. and so on... we went. ", ["it ended at 5 p.m. and so on... we went."]),
        ("", []),
        (" \t ", []),
    ],
)
def test_sentences_end_where_a_capital_follows_the_stop(text, sentences):
    assert cut_sentences(text) == sentences


@given(st.text(alphabet="aA.?! \"'()\n1", max_size=60))
def test_cutting_sentences_loses_nothing_but_white_space(text):
    assert "".join("".join(cut_sentences(text)).split()) == "".join(text.split())


# Files made of a fetched file


def an_entry(made_of=b"one. Two\nthree\n", train=b"one.\nTwo\n"):
    files = {
        name: DataFile(name, hashlib.sha256(data).hexdigest(), len(data))
        for name, data in (("raw.txt", made_of), ("train.txt", train), ("dev.txt", b"three\n"))
    }
    rule = Division(("raw.txt",), every=2, take={"train.txt": None, "dev.txt": (1,)}, into="sentences")
    splits = {"train": ("train.txt",), "dev": ("dev.txt",)}
    return DataSet(
        "toy", "d", "language-model", "l", "c", "s", "lines", splits, (), files=files, made=rule, mirror="other/place"
    )


@pytest.fixture
def toy_mirror(tmp_path, monkeypatch):
    folder = tmp_path / "mirror" / "other" / "place"
    folder.mkdir(parents=True)
    (folder / "raw.txt").write_bytes(b"one. Two\nthree\n")
    monkeypatch.setenv("SEQCLI_MIRROR", str(tmp_path / "mirror"))
    return folder


def test_made_files_come_of_the_mirrors_file_and_are_mended_when_damaged(toy_mirror):
    entry = an_entry()
    train = obtain(entry, "train.txt")
    assert train == cached_path(entry, "train.txt")
    assert (train.read_bytes(), cached_path(entry, "dev.txt").read_bytes()) == (b"one.\nTwo\n", b"three\n")
    train.write_bytes(b"damaged")
    assert obtain(entry, "train.txt").read_bytes() == b"one.\nTwo\n"
    (toy_mirror / "raw.txt").unlink()
    assert obtain(entry, "dev.txt").read_bytes() == b"three\n"  # nothing is fetched once it is made


def test_a_made_file_with_another_checksum_is_refused(toy_mirror):
    with pytest.raises(UserError, match=r"train.txt: made of raw.txt it has sha256 \w+, expected") as caught:
        obtain(an_entry(train=b"one\n"), "train.txt")
    assert caught.value.code == 74


def test_what_it_is_made_of_is_named_where_it_cannot_be_fetched(toy_mirror):
    (toy_mirror / "raw.txt").unlink()
    with pytest.raises(UserError, match=r"cannot fetch toy/raw.txt. Tried .*/other/place/raw.txt \(not there\)"):
        obtain(an_entry(), "train.txt")


def test_the_source_may_have_another_name_for_a_file(server, tmp_path):
    import dataclasses

    server.put("/data/first.txt", b"one. Two\nthree\n")
    source = {"kind": "https", "url": server.url + "/data/", "paths": {"raw.txt": "first.txt"}}
    assert obtain(dataclasses.replace(an_entry(), sources=(source,)), "dev.txt").read_bytes() == b"three\n"


# The real sets


def examples(name, split):
    return [one.source for one in open_corpus(DataConfig(corpus=name), splits=(split,)).examples(split)]


@pytest.mark.mirror
def test_tinyshakespeare_has_the_usual_split(mirror):
    train, dev = (cached_path(catalogue.data_set("tinyshakespeare"), name) for name in ("train.txt", "dev.txt"))
    lines = examples("tinyshakespeare", "dev")
    assert sum(len(line) + 1 for line in lines) == 111_540
    assert "" in lines
    assert len(examples("tinyshakespeare", "train")) == 35_526
    assert len(train.read_bytes() + dev.read_bytes()) == 1_115_394


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("names", [25_665, 3_175, 3_193]),
        ("nottingham-abc", [932, 52, 50]),
        ("names-nationality", [16_073, 1_988, 1_989]),
    ],
)
@pytest.mark.mirror
def test_the_splits_have_no_example_in_common(name, counts, mirror):
    splits = [examples(name, split) for split in ("train", "dev", "test")]
    assert list(map(len, splits)) == counts
    assert not set(splits[0]) & set(splits[1] + splits[2])
    assert not set(splits[1]) & set(splits[2])


@pytest.mark.mirror
def test_word_analogies_are_there(mirror):
    lines = examples("word-analogies", "test")
    assert (len(lines), sum(line.startswith(":") for line in lines)) == (19_558, 14)


def test_the_sets_written_here():
    assert examples("hello", "train") == ["hello"]
    for split, length in (("train", 2999), ("dev", 299), ("test", 899)):
        [line] = examples("pattern", split)
        assert line.split() == (["0", "0", "1"] * length)[:length]
