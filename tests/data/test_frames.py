"""Frames: what the three formats hold is read value by value, and everything else is refused with its place."""

import contextlib
import gzip
import io
import json
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny import environment, run_inside

from seqcli.data.chunks import chunks
from seqcli.data.corpus import open_corpus
from seqcli.data.formats import Reading, format_class, guess_format, guess_from_lines, read_examples
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig

HEADER = "# two channels\n@problemName x\n@timeStamps false\n@dimensions 2\n@classLabel true run walk\n@data\n"
CASES = "1,2,?:4,5,6:run\n\n# a comment\n-1.5e0:nan:walk\n"
nan = float("nan")


def equal(found, expected):
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def rows(source, **options):
    return [(one.source.tolist(), one.target, one.at) for one in read_examples(source, Reading(**options))]


def test_a_ts_file(tmp_path):
    path = tmp_path / "a.ts"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + CASES).replace("\n", "\r\n").encode())
    first, second = read_examples(path, Reading())
    equal(first.source, [[1, 4], [2, 5], [nan, 6]])
    equal(second.source, [[-1.5, nan]])
    assert [(one.target, one.at) for one in (first, second)] == [("run", f"{path}:7"), ("walk", f"{path}:10")]
    packed = tmp_path / "a.ts.gz"
    packed.write_bytes(gzip.compress((HEADER + CASES).encode()))
    assert [one.at for one in read_examples(packed, Reading())] == [f"{packed}:7", f"{packed}:10"]


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("1,2:3,4\n", None, [([[1, 3], [2, 4]], None)]),  # nobody says that the last part is a label
        ("1,2:3,4:9\n", {"target": -1}, [([[1, 3], [2, 4]], "9")]),
        ("@classLabel false\n@data\n1,2\n", None, [([[1], [2]], None)]),
        ("@univariate true\n@classlabel TRUE\n@DATA\n1: any \n", None, [([[1]], "any")]),  # no list: any label
        ("@data\n:\n", None, [(np.zeros((0, 2)).tolist(), None)]),  # that no frame is there, the encoder says
    ],
)
def test_the_last_part_is_a_label_where_that_is_said(text, columns, expected, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    found = rows("-", format="ts", columns=columns)
    assert [one[:2] for one in found] == expected
    assert found[0][2] == f"<stdin>:{text.count(chr(10))}"


FRAMES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 4)),
    elements=st.one_of(st.floats(width=32, allow_infinity=False, allow_nan=False), st.just(nan)),
)
LABELS = st.sampled_from(["run", "walk", "stand"])


def written(value, missing):
    return missing if np.isnan(value) else repr(float(value))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FRAMES, LABELS), min_size=1, max_size=6), st.integers(1, 80))
def test_what_is_written_as_ts_is_read_also_in_parts(tmp_path_factory, cases, size):
    path = tmp_path_factory.mktemp("ts") / "a.ts"
    lines = [
        ":".join(",".join(written(value, "?") for value in channel) for channel in frames.T) + f":{label}"
        for frames, label in cases
    ]
    path.write_text("@timeStamps false\n@classLabel true run walk stand\n@data\n" + "\n".join(lines) + "\n")
    whole = list(read_examples(path, Reading()))
    parts = [one for part in chunks(path, "ts", size) for one in read_examples(part, Reading("ts"))]
    for found in (whole, parts):
        assert [(one.target, one.at) for one in found] == [
            (label, f"{path}:{line}") for line, (_, label) in enumerate(cases, 4)
        ]
        for one, (frames, _) in zip(found, cases, strict=True):
            equal(one.source, frames)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(FRAMES, LABELS, st.sampled_from(["npy", "npz", "csv", "header", "fortran"])), min_size=1, max_size=6
    ),
    st.integers(1, 400),
)
def test_what_an_index_names_is_read_also_in_parts(tmp_path_factory, cases, size):
    folder = tmp_path_factory.mktemp("index")
    lines = []
    for number, (frames, label, kind) in enumerate(cases):
        name = f"{number}.{kind}" if kind.startswith("np") else f"{number}.{'npy' if kind == 'fortran' else 'csv'}"
        if kind == "npz":
            np.savez_compressed(folder / name, a=frames, b=np.zeros(3))
            name += "#a"
        elif kind in ("npy", "fortran"):
            np.save(folder / name, frames if kind == "npy" else np.asfortranarray(frames))
        else:
            head = ",".join(f"x{channel}" for channel in range(frames.shape[1])) + "\n" if kind == "header" else ""
            missing = "nan" if frames.shape[1] == 1 else ""
            (folder / name).write_text(
                head + "".join(",".join(written(value, missing) for value in frame) + "\n" for frame in frames)
            )
        lines.append(f"{name}\t{label}\n")
    index = folder / "index.tsv"
    index.write_text("".join(lines))
    assert guess_format(index) == "frames"
    pieces = chunks(index, "frames", size)
    assert pieces[0].start == 0
    assert all(one.end == two.start for one, two in pairwise(pieces))
    parts = [one for part in pieces for one in read_examples(part, Reading("frames"))]
    for found in (list(read_examples(index, Reading())), parts):
        assert [(one.target, one.at) for one in found] == [
            (label, f"{index}:{line}") for line, (_, label, _) in enumerate(cases, 1)
        ]
        for one, (frames, _, _) in zip(found, cases, strict=True):
            equal(one.source, frames)


def test_an_index_is_cut_by_the_bytes_of_what_it_names(tmp_path):
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", np.zeros((250, 1), np.float32))  # 1,128 bytes
    index = tmp_path / "i.tsv"
    index.write_text("path\tlabel\n" + "".join(f"{number}.npy\ta\n" for number in range(6)))
    columns = {"source": "path", "target": "label"}
    assert [part.first_line for part in chunks(index, "frames", 2500, columns=columns)] == [1, 4, 6]
    corpus = open_corpus(DataConfig(train=str(index), format="frames", columns=columns))
    assert corpus.size("train") == 6 * 1128 + index.stat().st_size
    assert len(list(corpus.examples("train"))) == 6


def test_arrays_of_other_types_and_of_one_dimension(tmp_path):
    for name, array in (("a", np.arange(3)), ("b", np.array([[True, False]])), ("c", np.array([[1, 2]], ">f8"))):
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "i.tsv").write_text("a.npy\nb.npy\nc.npy\n")  # one column: no labels
    assert [one[:2] for one in rows(tmp_path / "i.tsv")] == [
        ([[0], [1], [2]], None),
        ([[1, 0]], None),
        ([[1, 2]], None),
    ]


def test_a_folder_a_label(tmp_path, monkeypatch):
    for label in ("walk", "run", ".git"):
        (tmp_path / "set" / label).mkdir(parents=True)
    (tmp_path / "set" / "README.md").write_text("hello\n")
    (tmp_path / "set" / ".git" / "x.csv").write_text("no")
    (tmp_path / "set" / "walk" / "2.csv").write_text("x,y\n1,\n\n3,nan\n")
    (tmp_path / "set" / "run" / "b.csv").write_text("5\n")
    np.save(tmp_path / "set" / "run" / "a.npy", [[7, 8]])
    (tmp_path / "set" / "run" / "notes.txt").write_text("no")
    monkeypatch.chdir(tmp_path)
    found = list(read_examples("set", Reading()))
    assert [(one.target, one.at) for one in found] == [
        ("run", "set/run/a.npy:1"),
        ("run", "set/run/b.csv:1"),
        ("walk", "set/walk/2.csv:1"),
    ]
    equal(found[2].source, [[1, nan], [3, nan]])
    corpus = open_corpus(DataConfig(train="set"))
    assert [str(path) for path in corpus.files("train")] == ["set/run/a.npy", "set/run/b.csv", "set/walk/2.csv"]
    assert [one.at for one in corpus.examples("train")] == [one.at for one in found]
    assert [len(chunks(path, "csv-folders", 1)) for path in corpus.files("train")] == [1, 1, 1]
    assert corpus.reading("train").format == "csv-folders"


def test_a_fingerprint_covers_what_an_index_or_folder_names(tmp_path):
    def prints(train, **options):
        return open_corpus(DataConfig(train=str(train), **options)).fingerprint("train")

    (tmp_path / "run").mkdir()
    np.save(tmp_path / "run" / "a.npy", np.zeros((2, 2)))
    index = tmp_path / "i.tsv"
    index.write_text("run/a.npy\tx\n")
    before = prints(index), prints(tmp_path / "run" / "a.npy", format="csv-folders")
    assert before == (prints(index), prints(tmp_path / "run" / "a.npy", format="csv-folders"))
    np.save(tmp_path / "run" / "a.npy", np.ones((2, 2)))
    after = prints(index), prints(tmp_path / "run" / "a.npy", format="csv-folders")
    assert after[0] != before[0]
    assert after[1] != before[1]
    (tmp_path / "run").rename(tmp_path / "walk")
    assert prints(tmp_path / "walk" / "a.npy", format="csv-folders") != after[1]  # another label
    assert prints(index) != after[0]  # no longer there; reading it says so


def test_a_development_share_looks_at_every_value(tmp_path):
    base = np.zeros((2000, 2), np.float32)  # repr leaves the middle out
    lines = []
    for number in range(200):
        base[1000, 0] = number % 100
        np.save(tmp_path / f"{number}.npy", base)
        lines.append(f"{number}.npy\ta\n")
    (tmp_path / "i.tsv").write_text("".join(lines))
    corpus = open_corpus(DataConfig(train=str(tmp_path / "i.tsv"), dev_share=0.3))
    sides = {name: {one.source[1000, 0] for one in corpus.examples(name)} for name in ("train", "dev")}
    assert len(sides["train"] | sides["dev"]) == 100
    assert not sides["train"] & sides["dev"]  # equal sequences stay together
    assert 10 < len(sides["dev"]) < 50


def test_formats_are_guessed():
    assert guess_from_lines(["a.npy\tx", "b/c.npz#d\ty", "e.csv\tz"]) == "frames"
    assert guess_from_lines(["a.npy\tx", "b\ty"]) == "tsv"
    assert guess_format("a.TS.gz") == "ts"


@pytest.mark.parametrize(
    ("format_name", "columns", "message"),
    [
        ("ts", {"target": 0}, "data.columns: of the ts format only {target: -1} can be said"),
        ("frames", {"token": 0}, "data.columns: the frames format has source and target, no token"),
        ("frames", {"target": 0}, "data.columns: name the column of the source or of the tokens"),
        ("csv-folders", {"source": 0}, "data.columns: the csv-folders format has no columns"),
    ],
)
def test_columns_of_frames(format_name, columns, message):
    with pytest.raises(UserError) as caught:
        format_class(format_name).check_columns(columns)
    assert (str(caught.value), caught.value.code) == (message, 2)


def seqcli(*arguments, cwd):
    """The program, inside this process: a process of its own takes half a second."""
    with contextlib.chdir(cwd):
        done = run_inside(*arguments)
    return done.out, done.err, done.code


def shell(*arguments, cwd, stdin=b""):
    done = subprocess.run(
        [sys.executable, "-m", "seqcli", *arguments], input=stdin, capture_output=True, cwd=cwd, env=environment()
    )
    return done.stdout.decode(), done.stderr.decode(), done.returncode


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "1,2:3:run\n", "a.ts:7: dimension 2 has 1 value where dimension 1 has 2"),
        (HEADER + "1:2:jump\n", "a.ts:7: the header does not list the label 'jump'. It lists: run, walk."),
        (HEADER + "1:2:wolk\n", "a.ts:7: the header does not list the label 'wolk'. Did you mean 'walk'?"),
        (HEADER + "1:2:\n", "a.ts:7: the last part of the line, the label, is empty"),
        (HEADER + "1:2:3:run\n", "a.ts:7: 3 dimensions where the header says 2"),
        (HEADER + "1,2:3,x:run\n", "a.ts:7: dimension 2, value 2: 'x' is no number"),
        (HEADER + "1_0:2:run\n", "a.ts:7: dimension 1, value 1: '1_0' is no number"),
        (HEADER + "1,:2,3:run\n", "a.ts:7: dimension 1, value 2: '' is no number"),
        (HEADER + "1:-inf:run\n", "a.ts:7: dimension 2, value 1: '-inf' is infinite"),
        (HEADER + "1e39:2:run\n", "a.ts:7: dimension 1, value 1: '1e39' is too large for a 32-bit number"),
        ("@classLabel true a\n@data\na\n", "a.ts:3: a label but no values"),
        ("(1,2),(3,4)\n", "a.ts:1: dimension 1, value 1: '(1' is no number. Time stamps are not read."),
        (
            "@timeStamps true\n@data\n1\n",
            "a.ts:1: time stamps are not read. Write the values alone, one a step, and '@timeStamps false'.",
        ),
        ("@targetLabel true\n@data\n1:2\n", "a.ts:1: a number as target (regression) is not read"),
        ("@classLabel yes\n", "a.ts:1: @classLabel: expected true or false, not 'yes'"),
        ("@dimensions 0\n", "a.ts:1: @dimensions: expected a number from 1, not '0'"),
        ("@univariate false\n1\n", "a.ts:2: data before the line '@data'"),
        ("@data\n1\n@data\n2\n", "a.ts:3: a header line after the data has begun. One header a file."),
        ("@data\n1,2\n1:2\n", "a.ts:3: 2 channels where the first sequence has 1"),
        ("@data\n", "a.ts: no example: the file is empty or has only blank lines"),
        ("", "a.ts: the a.ts file is empty"),
    ],
)
def test_bad_ts_files(tmp_path, text, message):
    (tmp_path / "a.ts").write_text(text)
    assert seqcli("data", "stats", "a.ts", cwd=tmp_path) == (
        "",
        f"a.ts: read as ts\nerror: {message}\n" if text else f"error: {message}\n",
        65,
    )


class Boom:
    def __reduce__(self):
        return open, ("EXECUTED", "w")


def damaged():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((3, 2)))
    return buffer.getvalue()[:-8]


def object_array():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Boom()], object), allow_pickle=True)
    return buffer.getvalue()


def npz(**contents):
    buffer = io.BytesIO()
    np.savez(buffer, **contents)
    return buffer.getvalue()


OBJECTS = (
    "an array of Python objects is not loaded: it could run any program. Save an array of numbers, "
    "numpy.save(..., allow_pickle=False)."
)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.npy", None, "'no.npy': there is no such file"),
        (
            "a.txt",
            b"1",
            "'a.txt': is no .npy, .npz or .csv file. If the first line is a header, name its columns: "
            "{source: ..., target: ...}.",
        ),
        ("../out.npy", None, "'../out.npy': lies outside the folder of the index: refused"),
        ("/etc/out.npy", None, "'/etc/out.npy': lies outside the folder of the index: refused"),
        ("link.npy", Path("../out.npy"), "'link.npy': lies outside the folder of the index: refused"),
        (
            "a.npy",
            pickle.dumps(Boom()),
            "'a.npy': a pickle is not loaded: it could run any program. Save the array with "
            "numpy.save(..., allow_pickle=False).",
        ),
        ("a.npy", object_array(), f"'a.npy': {OBJECTS}"),
        ("a.npz", npz(x=np.array([Boom()], object)), f"'a.npz': {OBJECTS}"),
        ("a.npy", b"", "'a.npy': the file is empty"),
        ("a.npy", b"1,2\n", "'a.npy': is no .npy file"),
        ("a.npy", damaged(), "'a.npy': is damaged: mmap length is greater than file size"),
        ("a.npy", np.array(3.0), "'a.npy': a single number; expected frames x channels"),
        ("a.npy", np.array([["x"]]), "'a.npy': holds values of type <U1, no numbers"),
        ("a.npy", np.zeros((2, 0)), "'a.npy': frames without a channel (0 columns)"),
        ("a.npy", np.array([[0, 1], [2, np.inf]]), "'a.npy': frame 2, channel 2: 'inf' is infinite"),
        ("a.npy", np.array([[0, 1e300]]), "'a.npy': frame 1, channel 2: '1e+300' is too large for a 32-bit number"),
        ("a.npz", npz(x=np.zeros(2), y=np.zeros(2)), "'a.npz': holds 2 arrays: x, y. Say which: a.npz#x."),
        ("a.npz#z", npz(xy=np.zeros(2)), "'a.npz#z': holds no array 'z'. It holds: xy."),
        ("a.npz", b"PK\x03\x04...", "'a.npz': is damaged: File is not a zip file"),
        ("a.csv", b"x,y\n1,2\n\n3\n", "'a.csv', line 4: 1 cell where the first line has 2 (commas between them)"),
        ("a.csv", b"1,2\n3,x\n", "'a.csv', line 2: column 2: 'x' is no number"),
        ("a.csv", b"1,inf\n", "'a.csv', line 1: column 2: 'inf' is infinite"),
        (
            "a.csv",
            b"1,2\n\xff\n",
            "'a.csv', line 2: invalid UTF-8 at byte 1 of the line (0xff). Convert the file (iconv -f "
            "LATIN1 -t UTF-8), or go on with --invalid replace.",
        ),
        ("a.csv", b"\n", "'a.csv': the file is empty or has only blank lines"),
    ],
)
def test_bad_files_of_an_index(tmp_path, name, content, message):
    folder = tmp_path / "set"
    folder.mkdir()
    np.save(tmp_path / "out.npy", np.zeros((2, 2)))
    np.save(folder / "good.npy", np.zeros((2, 2)))
    path = folder / name.partition("#")[0]
    if isinstance(content, Path):
        path.symlink_to(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif content is not None:
        path.write_bytes(content)
    (folder / "i.tsv").write_text(f"good.npy\tx\n{name}\ty\n")
    assert seqcli("data", "stats", "set/i.tsv", "--format", "frames", cwd=tmp_path) == (
        "",
        f"error: set/i.tsv:2: {message}\n",
        65,
    )
    assert not list(tmp_path.rglob("EXECUTED"))


def test_a_shell_sees_the_same(tmp_path):
    (tmp_path / "a.ts").write_text(HEADER + "1,2:3:run\n")
    assert shell("data", "stats", "a.ts", cwd=tmp_path) == (
        "",
        "a.ts: read as ts\nerror: a.ts:7: dimension 2 has 1 value where dimension 1 has 2\n",
        65,
    )
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Boom()))
    (tmp_path / "i.tsv").write_text("a.npy\tx\n")
    assert shell("data", "stats", "i.tsv", "-q", cwd=tmp_path) == (
        "",
        "error: i.tsv:1: 'a.npy': a pickle is not loaded: it could run any program. Save the array with "
        "numpy.save(..., allow_pickle=False).\n",
        65,
    )
    assert not (tmp_path / "EXECUTED").exists()


def test_the_trap_of_these_tests_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Boom())).close()
    assert (tmp_path / "EXECUTED").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    from seqcli.data import frame_files

    monkeypatch.setattr(frame_files, "MAX_UNPACKED", 1000)
    np.savez_compressed(tmp_path / "a.npz", np.zeros((1000, 1)))
    with pytest.raises(UserError, match=r"'arr_0' has 8,128 bytes unpacked; there may be 1,000. Save it as .npy"):
        frame_files.read_frames(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("make", "message", "code"),
    [
        (
            lambda folder: None,
            "set: no sequences (.csv, .npy): expected a folder for each label, with such files in it",
            65,
        ),
        (
            lambda folder: (folder / "x.csv").write_text("1\n"),
            "set/x.csv: lies in no folder of a label. Put it in a folder that is called like its label.",
            65,
        ),
    ],
)
def test_bad_folders(tmp_path, make, message, code):
    (tmp_path / "set").mkdir()
    make(tmp_path / "set")
    assert seqcli("data", "stats", "set", cwd=tmp_path) == ("", f"error: {message}\n", code)


def test_a_bad_file_of_a_folder_has_its_own_place(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "1.csv").write_text("1,2\n3\n")
    assert shell("data", "stats", "set", "-q", cwd=tmp_path) == (
        "",
        "error: set/a/1.csv:2: 1 cell where the first line has 2 (commas between them)\n",
        65,
    )


def test_frames_and_text_are_not_compared_and_not_converted(tmp_path):
    (tmp_path / "a.ts").write_text("@data\n1\n")
    (tmp_path / "b.conll").write_text("a\tO\n\n")
    assert seqcli("data", "stats", "a.ts", "b.conll", cwd=tmp_path) == (
        "",
        "error: 'a.ts' holds frames and 'b.conll' text. Look at them one at a time, or say --format.\n",
        2,
    )
    assert seqcli("data", "convert", "a.ts", "--to", "bio", cwd=tmp_path) == (
        "",
        "error: 'a.ts' holds frames, which have no tag scheme. Name a CoNLL file.\n",
        2,
    )


TRAIN = HEADER + "1,2,3:0,0,0:run\n?,?,1:0,0,0:run\n1,2,3:0,0,0:run\n"
TEST = HEADER + "5:6:walk\n1,2,3:0,0,0:run\n"


def test_statistics_of_frames(tmp_path):
    (tmp_path / "a.ts").write_text(TRAIN)
    (tmp_path / "b.ts").write_text(TEST)
    out, err, code = seqcli("data", "stats", "a.ts", "b.ts", cwd=tmp_path)
    assert (err, code) == ("a.ts: read as ts\nb.ts: read as ts\n", 0)
    assert (
        out
        == """\
                        a.ts   b.ts
sequences                  3      2
frames                     9      4
channels                   2      2
frames a sequence        3.0    2.0
  shortest                 3      1
  1% have at most          3      1
  10% have at most         3      1
  median                   3      1
  90% have at most         3      3
  99% have at most         3      3
  longest                  3      3
missing values             2      0
sequences with some        1      0
repeated sequences         1      0
sequences also in a.ts        50.0%

labels  a.ts  b.ts
run        3     1
walk       0     1
only in b.ts, not in a.ts: walk
"""
    )
    found = json.loads(seqcli("data", "stats", "a.ts", "b.ts", "--json", "-q", cwd=tmp_path)[0])
    assert found["scheme"] is None
    assert found["splits"][1] == {
        "name": "b.ts",
        "files": ["b.ts"],
        "format": "ts",
        "sequences": 2,
        "frames": 4,
        "channels": 2,
        "mean_length": 2.0,
        "lengths": {"min": 1, "p1": 1, "p10": 1, "p50": 1, "p90": 3, "p99": 3, "max": 3},
        "missing_values": 0,
        "incomplete_sequences": 0,
        "repeated_sequences": 0,
        "labels": {"walk": 1, "run": 1},
        "seen_sequences": 0.5,
        "unseen_labels": ["walk"],
    }


def test_lint_of_frames(tmp_path):
    (tmp_path / "a.ts").write_text(TRAIN)
    (tmp_path / "b.ts").write_text(TEST + "1,2:3:run\n")
    (tmp_path / "c.ts").write_text("@data\n1:2:3\n\n::\n1:2\n")
    out, err, code = seqcli("data", "lint", "a.ts", "b.ts", "c.ts", "-q", cwd=tmp_path)
    assert code == 65
    assert (
        out
        == """\
a.ts:8: missing values: 2 in 1 sequence, this one first (a recipe that takes them says so: missing: mask)
a.ts: every sequence has the label 'run': there is nothing to tell apart
b.ts:9: dimension 2 has 1 value where dimension 1 has 2
c.ts:2: 3 channels where the first sequence has 2 (a.ts:7)
c.ts:4: a sequence without a single frame
b.ts:8: the same sequence stands in another split, at a.ts:7
b.ts:7: label 'walk' does not occur in the training data (times here: 1; this sequence is the first)
"""
    )
    assert err == ""
    err = seqcli("data", "lint", "a.ts", "b.ts", "c.ts", cwd=tmp_path)[1]
    assert "note: a.ts: channel 2 is 0 in every frame\n" in err
    assert "note: a.ts:9: sequences that stand in this split already: 1, this one first\n" in err


def test_lint_lists_every_bad_line_of_an_index(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    (tmp_path / "i.tsv").write_text("b.npy\tx\na.npy\ty\n../c.npy\tz\n")
    out, _, code = seqcli("data", "lint", "i.tsv", "-q", cwd=tmp_path)
    assert (out.splitlines()[:2], code) == (
        [
            "i.tsv:1: 'b.npy': there is no such file",
            "i.tsv:3: '../c.npy': lies outside the folder of the index: refused",
        ],
        65,
    )


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "sizes", "channels", "first", "labels"),
    [
        (
            "basic-motions",
            (40, 40),
            6,
            (0.079106, 0.394032),
            {"Standing": 10, "Running": 10, "Walking": 10, "Badminton": 10},
        ),
        ("japanese-vowels", (270, 370), 12, (1.860936, -0.207383), {str(speaker): 30 for speaker in range(1, 10)}),
    ],
)
def test_the_real_sets(mirror, name, sizes, channels, first, labels):
    from collections import Counter

    corpus = open_corpus(DataConfig(corpus=name))
    examples = {split: list(corpus.examples(split)) for split in ("train", "test")}
    assert (len(examples["train"]), len(examples["test"])) == sizes
    assert {one.source.shape[1] for split in examples.values() for one in split} == {channels}
    equal(examples["train"][0].source[0, :2], first)
    assert Counter(one.target for one in examples["train"]) == labels
    lengths = {len(one.source) for split in examples.values() for one in split}
    assert (min(lengths), max(lengths)) == ((100, 100) if name == "basic-motions" else (7, 29))
    assert not any(np.isnan(one.source).any() for split in examples.values() for one in split)


def test_a_label_without_a_header_that_says_so():
    """Lines cut from a file with labels: the mistake is named, and what to do."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from seqcli.data.formats import Reading, read_examples\nlist(read_examples(None, Reading('ts')))",
        ],
        input=b"1,2:3,4:walk\n",
        capture_output=True,
    )
    assert (
        b"dimension 3 has 1 value where dimension 1 has 2. Is it a label? The header says so: begin with the "
        b"file's lines in '@'."
    ) in done.stderr
