"""Parallel text: files named together with braces, what is read of them and what is said of bad ones."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.braces import joint_path, parallel_files
from seqcli.data.chunks import chunks
from seqcli.data.corpus import open_corpus
from seqcli.data.formats import Reading, guess_format, read_examples
from seqcli.errors import UserError
from seqcli.pipeline.own_data import data_override
from seqcli.recipe.data import DataConfig
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.load import load_recipe
from seqcli.recipe.paths import move_paths, seen_from, seen_from_here


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    return tmp_path


def write(**files):
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        Path(name.replace("_", ".", 1)).write_bytes(gzip.compress(data) if name.endswith("gz") else data)


def read(path, **options):
    return [(one.source, one.target, one.at) for one in read_examples(path, Reading("parallel", **options))]


def run(*arguments):
    done = subprocess.run([sys.executable, "-m", "seqcli", *map(str, arguments)], capture_output=True)
    return done.stdout.decode(), done.stderr.decode(), done.returncode


def test_a_line_of_each_file_is_an_example():
    write(t_en="one\n\n two \r\n", t_de="eins\n \nzwei\u2028drei\n")
    assert guess_format("t.{en,de}") == "parallel"
    assert read("t.{en,de}") == [("one", "eins", "t.{en,de}:1"), (" two ", "zwei\u2028drei", "t.{en,de}:3")]
    assert read("t.{de,en}")[0] == ("eins", "one", "t.{de,en}:1")
    assert [list(read_examples(part, Reading("parallel"))) for part in chunks("t.{en,de}", "parallel", 1)] == [
        list(read_examples("t.{en,de}", Reading("parallel")))
    ]


def test_several_targets_are_references_and_gz_is_read():
    write(t_hi="क\n", a_gz="a\n", b_gz="b\n")
    assert read("{t.hi,a.gz,b.gz}") == [("क", ["a", "b"], "{t.hi,a.gz,b.gz}:1")]
    os.mkdir("en"), os.mkdir("de")
    write(**{"en/x_gz": "a\n", "de/x_gz": "b\n"})
    assert [one[:2] for one in read("{en,de}/x.gz")] == [("a", "b")]


def test_a_reference_may_be_missing_but_not_all():
    write(t_hi="क\nख\nग\n\n", t_a="a\n\n\n\n", t_b="b\nc\n\n\n")
    errors = []
    examples = read_examples("t.{hi,a,b}", Reading("parallel"), on_error=errors.append)
    assert [(one.source, one.target) for one in examples] == [("क", ["a", "b"]), ("ख", ["c"])]
    assert [str(error) for error in errors] == ["t.a:3: blank, where t.hi has text"]


@given(st.lists(st.tuples(st.text("ab \u2028é", min_size=1), st.text("xy\x85", min_size=1)), min_size=1))
def test_what_is_written_is_read(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("pairs")
    pairs = [(f"1{one}", f"2{other}") for one, other in pairs]
    for side, name in enumerate(("x.a", "x.b")):
        (folder / name).write_text("".join(f"{pair[side]}\n" for pair in pairs), newline="", encoding="utf-8")
    assert [one[:2] for one in read(folder / "x.{a,b}")] == pairs


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("x.{en}", "x.{en}: one name alone in the braces of a path. "),
        ("x.{en,}", "x.{en,}: an empty name in the braces of a path. "),
        ("{x,y}.{en,de}", "{x,y}.{en,de}: several groups of braces in a path. "),
        ("x.{en,{de,fr}}", "x.{en,{de,fr}}: several groups of braces in a path. "),
        ("x.{en,de", "x.{en,de: a brace without its other half in a path. "),
        ("x.en", "x.en: parallel text has two files or more and this names one. "),
    ],
)
def test_other_braces_are_refused(path, message):
    write(x_en="a\n")
    with pytest.raises(UserError) as caught:
        open_corpus(DataConfig(train=path, format="parallel"))
    expected = "Expected is one group of two names or more, the source's first: 'train.{en,de}'."
    assert (str(caught.value), caught.value.code) == (message + expected, 2)
    if path != "x.en":
        assert run("data", "stats", path) == ("", f"error: {message}{expected}\n", 2)


LONG = "word " * 20


@pytest.mark.parametrize(
    ("files", "message", "code"),
    [
        ({"a_en": "a\n"}, "a.other-side: there is no such train file (looked in {here})", 74),
        ({"t_en": "a\n", "t_de": ""}, "t.de: the train file is empty", 65),
        ({"t_en": "a\nb\n", "t_de": "c\n \n"}, "t.de:2: blank, where t.en has text", 65),
        ({"t_en": "a\nb\n", "t_de": "\n\n"}, "t.de:1: blank, where t.en has text", 65),
        ({"t_en": "a\n\n", "t_de": "c\nd\n"}, "t.en:2: blank, where t.de has text", 65),
        (
            {"t_en": "a\nb\nc\n", "t_de": "a\nb\n"},
            "t.en: 3 lines, but t.de has 2. Each line of one is that line of the other.",
            65,
        ),
        (
            {"t_en": "a\nb\n", "t_de": "a\n\nb\n"},
            "t.en: 2 lines, but t.de has 3. Look at line 2 first: it is blank in t.de alone.",
            65,
        ),
        (
            {"t_en": f"{LONG}\n{LONG}\n{LONG}\nyes\n{LONG}\n", "t_de": f"{LONG}\n{LONG}\n{LONG}\n{LONG}\n"},
            "t.en: 5 lines, but t.de has 4. Look at line 4 first: it has 3 characters, and 99 in t.de.",
            65,
        ),
        (
            {"t_en": b"a\nb\n", "t_de": b"a\nb\xff\n"},
            "t.de:2: invalid UTF-8 at byte 2 of the line (0xff). Convert the file (iconv -f LATIN1 -t UTF-8), or go on "
            "with --invalid replace.",
            65,
        ),
    ],
)
def test_what_is_wrong_is_said(files, message, code, here):
    write(**files)
    with pytest.raises(UserError) as caught:
        list(open_corpus(DataConfig(train="t.{en,de}" if "t_en" in files else "a.{en,other-side}")).examples("train"))
    assert (str(caught.value), caught.value.code) == (message.replace("{here}", str(here)), code)


def test_a_gz_that_ends_early():
    write(t_en="a\n" * 5000, t_gz="b\n" * 5000)
    Path("t.gz").write_bytes(Path("t.gz").read_bytes()[:-12])
    out, err, code = run("data", "stats", "{t.en,t.gz}")
    assert (out, code) == ("", 74)
    assert err.endswith("error: t.gz: cannot read: Compressed file ended before the end-of-stream marker was reached\n")


def test_lint_lists_what_is_wrong_and_looks_at_each_file():
    write(t_en="a\n\nc\n\x07d\ne\n", t_de=b"a\nb\nc\xff\nd\n")
    out, _, code = run("data", "lint", "t.{en,de}")
    assert out.splitlines() == [
        "t.de:3: invalid UTF-8 at byte 2 of the line (0xff)",
        "t.en: 5 lines, but t.de has 4",
        "t.en:2: blank, where t.de has text",
        "t.en:4: control character U+0007 at character 1 of the line",
    ]
    assert code == 65
    write(t_en="".join(f"word {n}\n" for n in range(20)), t_de="".join(f"das Wort {n}\n" for n in range(20)))
    assert run("data", "lint", "t.{en,de}") == ("", "t.{en,de}: read as parallel\nno faults\n", 0)


def test_statistics_count_both_sides():
    write(t_hi="क ख\nग\n", t_a="a b c\nd\n", t_b="a b\nd e\n", u_hi="क\n", u_a="z\n", u_b="y\n")
    out, _, code = run("data", "stats", "t.{hi,a,b}", "u.{hi,a,b}")
    assert code == 0
    rows = {line[:24].strip(): line[24:].split() for line in out.splitlines()}
    assert rows["target tokens"] == ["8", "2"]
    assert rows["target types"] == ["5", "2"]
    assert rows["references"] == ["2", "2"]
    assert "labels" not in out
    assert "only in" not in out


def test_pairs_of_a_table_are_no_labels():
    Path("t.tsv").write_text("".join(f"the word {n}\tdas schöne Wort {n}\tpage {n % 3}\n" for n in range(20)))
    arguments = ("t.tsv", "--columns", "source=0,target=1")
    out, _, code = run("data", "stats", *arguments)
    assert (code, "labels" in out, "target tokens" in out) == (0, False, True)
    assert run("data", "lint", *arguments) == ("", "t.tsv: read as tsv\nno faults\n", 0)


def test_every_file_counts_in_the_fingerprint_and_the_size():
    write(t_en="a\n", t_de="b\n")
    corpus = open_corpus(DataConfig(train="t.{en,de}"))
    assert corpus.size("train") == 4
    before = corpus.fingerprint("train")
    write(t_de="c\n")
    after = open_corpus(DataConfig(train="t.{en,de}"))
    assert after.fingerprint("train") != before
    write(u_en="a\n", u_de="c\n")
    assert open_corpus(DataConfig(train="u.{en,de}")).fingerprint("train") == after.fingerprint("train")
    assert open_corpus(DataConfig(train="u.{de,en}")).fingerprint("train") != after.fingerprint("train")


def test_a_share_for_development_and_several_names():
    write(t_en="".join(f"{n}\n" for n in range(200)), t_de="x\n" * 200, u_en="a\n", u_de="b\n")
    corpus = open_corpus(DataConfig(train=["t.{en,de}", "u.{en,de}"], dev_share=0.2))
    sizes = [sum(1 for _ in corpus.examples(split)) for split in ("train", "dev")]
    assert sum(sizes) == 201
    assert 20 < sizes[1] < 60


def test_other_splits_may_be_tables():
    write(t_tsv="1\ta\tb\n", t_en="x\n", t_de="y\n")
    for options in ({}, {"format": "tsv"}):
        corpus = open_corpus(DataConfig(train="t.tsv", test="t.{en,de}", columns={"source": 1, "target": 2}, **options))
        assert [(one.source, one.target) for split in corpus.splits for one in corpus.examples(split)] == [
            ("a", "b"),
            ("x", "y"),
        ]
    with pytest.raises(UserError, match=r"t.en: parallel text has two files or more and this names one"):
        open_corpus(DataConfig(train=["t.{en,de}", "t.en"]))


def test_a_file_whose_name_has_braces_is_that_file():
    write(**{"t_{en,de}": "plain text here\n"})
    assert guess_format("t.{en,de}") == "lines"
    assert [one.source for one in open_corpus(DataConfig(train="t.{en,de}")).examples("train")] == ["plain text here"]


def test_what_comes_through_a_pipe_is_refused():
    write(t_en="a\n")
    os.mkfifo("t.de")
    done = subprocess.Popen(["sh", "-c", "echo b > t.de"])
    with pytest.raises(UserError, match=r"t.\{en,de\}: parallel text cannot come through a pipe. Name the files"):
        open_corpus(DataConfig(train="t.{en,de}"))
    done.wait()


@pytest.mark.parametrize("path", ["data/x.{en,de}.gz", "../x.{hi,en.0,en.1}", "{en,de}/x", "{../a,b}", "{a/b,c/d}"])
def test_braces_survive_where_paths_are_rewritten(path, here):
    moved = seen_from_here(path, Path("recipes"))
    assert [os.path.normpath(one) for one in parallel_files(moved)] != []
    assert os.path.normpath(seen_from(moved, Path("recipes"))) == os.path.normpath(path)
    if not path.startswith("{.."):
        assert [os.path.normpath(one) for one in parallel_files(moved)] == [
            os.path.normpath(f"recipes/{one}") for one in parallel_files(path)
        ]


def test_a_recipe_names_parallel_files_beside_it(here):
    os.makedirs("deep/runs")
    Path("deep/r.yaml").write_text(
        "name: r\ntask: {kind: language-model}\ndata:\n  train: x.{en,de}\n  test: '{y.hi,a,b}'\n"
        "source: {kind: text}\nmodel: {kind: ngram}\n"
    )
    recipe = load_recipe("deep/r.yaml").recipe
    assert recipe.data.train == "deep/x.{en,de}"
    assert move_paths(recipe, lambda path: seen_from(path, Path("deep/runs"))).data.test == "../{y.hi,a,b}"
    Path("deep/again.yaml").write_text(dump_recipe(load_recipe("deep/r.yaml").recipe))
    assert load_recipe("deep/again.yaml").recipe.data.test == "deep/deep/{y.hi,a,b}"
    flow = data_override({"train": "x.{en,de}", "test": "{y.hi,a,b}"})
    for overrides in (["data.train=x.{en,de}", 'data.test="{y.hi,a,b}"'], [flow]):
        assert load_recipe("deep/r.yaml", overrides).recipe.data.train == "x.{en,de}"


def test_joint_paths_name_files_of_two_folders():
    assert joint_path([Path("m/x.en"), Path("m/x.de")], Path("m/x.{en,de}")) == Path("m/x.{en,de}")
    apart = joint_path([Path("/m/x.en"), Path("/c/x.de")], Path("/m/x.{en,de}"))
    assert parallel_files(str(apart)) == ["/m/x.en", "/c/x.de"]
