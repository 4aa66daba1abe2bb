"""Sets of translations: pairs out of packages, apt (a fake one), splits of parallel files, and the sets themselves."""

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data import catalogue
from seqcli.data.braces import named_files
from seqcli.data.catalogue import DataFile, DataSet, Division, cached_path
from seqcli.data.corpus import catalogue_split, choose_splits, open_corpus
from seqcli.data.divide import distinct, divide, letters, pronunciations
from seqcli.data.fetch.archives import Member
from seqcli.data.fetch.obtain import obtain
from seqcli.data.fetch.pairs import Pairs, paragraphs, strings
from seqcli.data.formats import Reading
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig


def sha(text):
    data = text if isinstance(text, bytes) else text.encode()
    return DataFile("", hashlib.sha256(data).hexdigest(), len(data))


def data_set(files, splits, sources=(), **fields):
    known = {name: DataFile(name, sha(text).sha256, sha(text).bytes) for name, text in files.items()}
    fields = {"format": "tsv", "columns": {"source": 0, "target": 1}, **fields}
    splits = {split: (name,) for split, name in splits.items()}
    return DataSet("toy", "d", "translation", "l", "c", "s", splits=splits, sources=sources, files=known, **fields)


# Pairs


def test_paragraphs_are_those_with_an_id_of_their_own():
    page = (
        '<h1 id="hd_id1" dir="auto">A <b>bold</b>\n one</h1><p>none</p><p class="x" id="par_id2">&lt;x&gt; &amp;&#8230;</p>'
        '<div id="par_id3">no</div><h2 id="bm_id4">mark</h2><p id="other">no</p><p id="par_id2">later</p><pre id="par_9">no</pre>'
    )
    assert paragraphs(page) == {"hd_id1": "A bold\n one", "par_id2": "<x> &…", "bm_id4": "mark"}


def test_strings_have_the_path_of_their_keys():
    text = '{"title": "T", "config": {"step": {"user": "U"}, "n": 3, "list": ["no"]}}'
    assert strings(text) == {".title": "T", ".config.step.user": "U"}


def members(files):
    return [
        Member(name, text is not None, len((text or "").encode()), lambda text=text: io.BytesIO((text or "").encode()))
        for name, text in files.items()
    ]


def test_pairs_stand_under_one_key_of_one_page():
    pairs = Pairs("json", "c/*/en.json", "c/*/fr.json", without=r"[{}]")
    pairs.add(
        members(
            {
                "c/b/en.json": '{"a": "Open  it", "b": "Save {x}", "c": "OK", "d": "12", "e": "No French"}',
                "c/b/fr.json": '{"a": "Ouvrir\\n", "b": "y", "c": "OK", "d": "douze", "f": "x"}',
                "c/a/en.json": '{"a": "Shut", "z": "Open it"}',
                "c/a/fr.json": '{"a": "Fermer", "z": "Ouvrez"}',
                "c/a/de.json": "no JSON at all",
                "c/folder/en.json": None,
            }
        )
    )
    assert [*pairs.lines()] == ["Shut\tFermer\ta", "Open it\tOuvrez\ta"]


# apt


PAGES = {
    "en": {"text/a.html": '<p id="par_1">One page</p><p id="par_2">Two pages</p>', "text/b.html": '<p id="par_1">Two pages</p>'},
    "de": {"text/a.html": '<p id="par_1">Eine Seite</p><p id="par_2">Zwei</p>', "text/b.html": '<p id="par_1">Zwei Seiten</p>'},
}  # fmt: skip
PAIRS = "One page\tEine Seite\ttext/a.html\nTwo pages\tZwei\ttext/a.html\n"
APT = """#!/bin/sh
[ "$1 $2" = "--quiet download" ] || exit 3
echo "$@" >> {log}
case "$*" in *missing*) echo 'E: Unable to locate package missing' >&2; exit 100;; esac
cp {packages}/*.deb .
"""
DPKG = '#!/bin/sh\n[ "$1" = "--fsys-tarfile" ] && cat "$2"\n'


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """Programs of these names, whose packages are the tar archives that the real one would give."""
    programs, packages = tmp_path / "bin", tmp_path / "packages"
    programs.mkdir()
    packages.mkdir()
    for language, pages in PAGES.items():
        with tarfile.open(packages / f"help-{language}_4%3a7_all.deb", "w") as tar:
            for name, text in pages.items():
                info = tarfile.TarInfo(f"./usr/help/{language}/{name}")
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
    texts = {"apt-get": APT.format(log=tmp_path / "log", packages=packages), "dpkg-deb": DPKG}
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return tmp_path


def help_set(*packages, **files):
    rule = {"read": "html", "source": "./usr/help/en/*", "target": "./usr/help/de/*"}
    source = {"kind": "deb", "packages": dict.fromkeys(packages, "4:7*"), "pairs": {"en-de.tsv": rule}}
    return data_set({"en-de.tsv": PAIRS, **files}, {"train": "en-de.tsv"}, (source,))


def test_the_users_apt_fetches_packages_and_nothing_stays_but_the_pairs(apt):
    path = obtain(help_set("help-en", "help-de"), "en-de.tsv")
    assert path.read_text() == PAIRS
    assert [child.name for child in path.parent.iterdir()] == ["en-de.tsv"]
    assert (apt / "log").read_text() == "--quiet download help-en=4:7* help-de=4:7*\n"


def test_what_apt_says_is_said(apt, monkeypatch):
    with pytest.raises(UserError) as caught:
        obtain(help_set("missing"), "en-de.tsv")
    assert (caught.value.code, caught.value.message) == (
        74,
        "cannot fetch toy/en-de.tsv. Tried deb packages missing (apt-get: Unable to locate package missing)",
    )
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"Tried deb packages a and b \(there is no apt-get here\)"):
        obtain(help_set("a", "b"), "en-de.tsv")


def test_pages_that_say_something_else_are_refused(apt):
    with tarfile.open(apt / "packages" / "help-en_4%3a7_all.deb", "w"):
        pass
    with pytest.raises(UserError) as caught:
        obtain(help_set("help-en", "help-de"), "en-de.tsv")
    assert caught.value.code == 74
    assert "made of the package it has sha256 e3b0c44298fc" in caught.value.message
    (apt / "packages" / "help-en_4%3a7_all.deb").write_bytes(b"no package")
    with pytest.raises(UserError, match="cannot read the archive"):
        obtain(help_set("help-en", "help-de"), "en-de.tsv")


# The mirror


def test_a_mirror_may_have_a_file_gzipped(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQCLI_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    packed = tmp_path / "mirror" / "toy" / "en-de.tsv.gz"
    packed.write_bytes(gzip.compress(PAIRS.encode()))
    assert obtain(help_set(), "en-de.tsv").read_text() == PAIRS
    cached_path(help_set(), "en-de.tsv").unlink()
    packed.write_bytes(gzip.compress(b"other"))
    with pytest.raises(UserError, match="gunzipped it has sha256 d9298a10d1b07358"):
        obtain(help_set(), "en-de.tsv")
    packed.write_bytes(gzip.compress(PAIRS.encode())[:-9])
    with pytest.raises(UserError, match="cannot read"):
        obtain(help_set(), "en-de.tsv")


def test_a_split_of_parallel_files_of_two_places(tmp_path, monkeypatch, server):
    """Whatever lies in the mirror is read there; the rest is fetched, by the source that has it."""
    monkeypatch.setenv("SEQCLI_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "there").mkdir(parents=True)
    (tmp_path / "mirror" / "there" / "x.hi").write_text("क\n")
    for name, text in {"b/x.0": "a\n", "b/x.1": "b\n"}.items():
        server.put(f"/{name}", text.encode())
    sources = [
        {"kind": "https", "url": f"{server.url}/a/", "files": ["x.hi"]},
        {"kind": "https", "url": f"{server.url}/b/"},
    ]
    toy = data_set({"x.hi": "क\n", "x.0": "a\n", "x.1": "b\n"}, {"test": "x.{hi,0,1}"}, sources, mirror="there")
    split = catalogue_split(toy, "test", Reading(columns={"source": 3}))
    assert split.reading == Reading("parallel")
    assert [(one.source, one.target) for one in split.examples()] == [("क", ["a", "b"])]
    assert [path for path, *_ in server.seen] == ["/b/x.0", "/b/x.1"]
    assert toy.file_names() == ["x.hi", "x.0", "x.1"]


# Rules


@pytest.mark.parametrize(
    ("text", "left"), [("Open the File, 2!", "openthefile"), ("क्या  है?", "क्याहै"), ("12 - 3", ""), ("Straße", "strasse")]
)
def test_letters_alone_count(text, left):
    assert letters(text) == left


def test_units_that_differ_in_signs_and_digits_are_one():
    units = ["Page 1\tSeite 1", "page 2!\tSeite 2", "Pages\tSeiten", "1\teins", "2\tzwei", "no tab 1"]
    assert distinct(units, r"^(.*?)\t") == ["Page 1\tSeite 1", "Pages\tSeiten", "1\teins", "2\tzwei", "no tab 1"]


@given(st.lists(st.text("ab1. \t"), max_size=12))
def test_distinct_units_stay_in_order_and_once_is_enough(units):
    left = distinct(units, r"^(.*?)\t")
    assert distinct(left, r"^(.*?)\t") == left
    places = [units.index(unit) for unit in left]
    assert places == sorted(places)


def test_what_is_measured_on_is_left_out():
    rule = Division(("pairs",), exclude={r"\t(.*?)\t": ("dev", "test")}, take={"train": None})
    assert rule.needs() == ["pairs", "dev", "test"]
    texts = {"pairs": "a\tx y\t1\nb\tz.\t2\nc\tw\t3\nno tab\n", "dev": "X, y!\n", "test": "z\n"}
    assert divide(rule, texts) == {"train": "c\tw\t3\nno tab\n"}


CMU = "aaa EY1\nabated AH0 B EY1 T IH0 D # past\nabated(2) AH1 B EY0 T AH0 D\nabated(3) AH0 B EY0 T IH1 D\na.b EY1 B\n"


def test_pronunciations_lose_stress_and_comments():
    assert [json.loads(line) for line in pronunciations(CMU.splitlines(), together=False)] == [
        {"source": "aaa", "target": "EY"},
        {"source": "abated", "target": "AH B EY T IH D"},
        {"source": "abated", "target": "AH B EY T AH D"},
        {"source": "a.b", "target": "EY B"},
    ]
    rule = Division(
        ("d",),
        together=("^([^ (]+)",),
        every=2,
        take={"train": None, "test": (1,)},
        into="pronunciations",
        references=("test",),
    )
    assert divide(rule, {"d": CMU})["test"] == (
        '{"source": "abated", "target": ["AH B EY T IH D", "AH B EY T AH D"]}\n'
    )


# The sets themselves


def check(name, sizes):
    corpus = open_corpus(DataConfig(corpus=name))
    assert [sum(1 for _ in corpus.examples(split)) for split in corpus.splits] == sizes
    return {split: [(one.source, one.target) for one in corpus.examples(split)] for split in corpus.splits}


@pytest.mark.mirror
def test_multi30k(mirror):
    splits = check("multi30k-en-de", [29_000, 1_014, 1_000])
    assert all(isinstance(target, str) for _, target in splits["test"])


@pytest.mark.mirror
def test_the_help_of_libreoffice_is_split_by_page(mirror):
    splits = check("libreoffice-help-en-de", [29_517, 2_189, 1_675])
    keys = [letters(source) for pairs in splits.values() for source, _ in pairs]
    assert len(keys) == len({*keys})
    known = catalogue.data_set("libreoffice-help-en-de")
    pages = [
        {line.rpartition("\t")[2] for line in obtain(known, names[0]).read_text(encoding="utf-8").split("\n")[:-1]}
        for names in known.splits.values()
    ]
    assert not pages[0] & pages[1] | pages[0] & pages[2] | pages[1] & pages[2]


@pytest.mark.mirror
def test_the_hindi_set_does_not_train_on_what_it_is_tested_on(mirror):
    splits = check("indian-parallel-hi-en", [3_114, 1_082, 1_113])
    test = {letters(source) for split in ("dev", "test") for source, _ in splits[split]}
    assert not test & {letters(source) for source, _ in splits["train"]}
    assert all(re.search("[\u0900-\u097f]", source) for source, _ in splits["train"])
    assert {len(target) for _, target in splits["test"]} == {2, 3, 4}


@pytest.mark.mirror
def test_the_pairs_of_hindi_of_all_sources_leave_out_the_test(mirror, tmp_path):
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "hindi_pairs.py"
    done = subprocess.run([sys.executable, script, mirror], capture_output=True, text=True, encoding="utf-8")
    assert done.stderr.endswith("written: 28,879 pairs\n")
    path = tmp_path / "hi-en.tsv"
    path.write_text(done.stdout, encoding="utf-8")
    corpus = open_corpus(DataConfig(corpus="indian-parallel-hi-en", train=str(path)))
    train = {letters(one.source) for one in corpus.examples("train")}
    assert not train & {letters(one.source) for split in ("dev", "test") for one in corpus.examples(split)}
    assert not train & {""}


def test_every_file_of_a_set_has_a_source():
    for known in catalogue.data_sets().values():
        for name in known.fetched_names():
            assert known.embedded or any(name in source.get("files", [name]) for source in known.sources)
        for names in known.splits.values():
            assert len({len(named_files(name)) > 1 for name in names}) == 1


def test_translations_are_texts_in_a_split_of_the_catalogue_and_in_place_of_one(tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl"
    path.write_text(CMU and "".join(f"{line}\n" for line in pronunciations(CMU.splitlines(), together=False)))
    corpus = open_corpus(DataConfig(corpus="cmudict", test=str(path), train=str(path), dev=str(path)))
    assert all(split.has_target_texts for split in corpus.split_files.values())
    (split,), _ = choose_splits([str(path)], Reading())
    assert not split.has_target_texts
