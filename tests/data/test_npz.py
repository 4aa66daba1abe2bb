"""Sequences joined in one array: each is read as it was, and an index that is wrong is told with its line."""

import contextlib
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import run_inside

from seqcli.data.catalogue import DataFile, DataSet, Division, cached_path, data_set
from seqcli.data.corpus import open_corpus
from seqcli.data.divide import divide
from seqcli.data.fetch.obtain import obtain_split
from seqcli.data.formats import Reading, guess_format, read_examples
from seqcli.errors import UserError
from seqcli.files import sha256_file
from seqcli.recipe.data import DataConfig

HEADER = "file\tstart\tlength\tlabel\n"


def joined(folder, name="x.npz", shape=(10, 2), dtype=np.float32):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    if name.endswith(".npy"):
        np.save(folder / name, array)
    else:
        np.savez_compressed(folder / name, x=array)
    return array


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
    st.sampled_from([(), (1,), (3,), (2, 3), (2, 3, 2)]),
    st.sampled_from([np.uint8, np.int64, np.float16, np.float32, np.float64, bool]),
    st.sampled_from(["a.npy", "a.npz", "in/a.npz"]),
)
def test_what_is_joined_is_read_piece_by_piece(tmp_path_factory, lengths, rest, dtype, name):
    folder = tmp_path_factory.mktemp("npz")
    (folder / "in").mkdir()
    array = joined(folder, name, (sum(lengths) + 1, *rest), dtype)
    starts = np.cumsum([0, *lengths])
    order = [*zip(starts, lengths, strict=False)][::-1]  # an index may name them in any order
    index = folder / "index.tsv"
    index.write_text(
        "id\tlabel\tfile\tstart\tlength\n"
        + "".join(f"x\tc{start}\t{name}\t{start}\t{length}\n" for start, length in order)
    )
    assert guess_format(index) == "npz"
    found = list(read_examples(index, Reading()))
    for line, (one, (start, length)) in enumerate(zip(found, order, strict=True), 2):
        expected = array[start : start + length].reshape(length, int(np.prod(rest))).astype(np.float32)
        assert (one.source.dtype, one.target, one.at) == (np.float32, f"c{start}", f"{index}:{line}")
        np.testing.assert_array_equal(one.source, expected)


def test_columns_may_have_other_names_and_several_files_be_named(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.zeros((3, 1)), b=np.ones((4, 1)))
    (tmp_path / "i.tsv").write_text("what\tfrom\tn\tarray\nrun\t0\t3\ttwo.npz#a\nwalk\t1\t3\ttwo.npz#b\n")
    columns = {"source": "array", "start": "from", "length": "n", "label": "what"}
    reading = Reading("npz", columns=columns)
    assert [(one.source.sum(), one.target) for one in read_examples(tmp_path / "i.tsv", reading)] == [
        (0, "run"),
        (3, "walk"),
    ]
    (tmp_path / "numbers.tsv").write_text("two.npz#b\t1\t2\n")
    reading = Reading("npz", columns={"source": 0, "start": 1, "length": 2})
    assert [(one.source.sum(), one.target) for one in read_examples(tmp_path / "numbers.tsv", reading)] == [(2, None)]


def test_one_array_is_unpacked_once(tmp_path, monkeypatch):
    joined(tmp_path)
    joined(tmp_path, "y.npz")
    lines = [f"{name}\t{start}\t2\ta\n" for name in ("x.npz", "y.npz") for start in range(5)]
    (tmp_path / "i.tsv").write_text(HEADER + "".join(lines))
    opened = []
    load = np.load
    monkeypatch.setattr(np, "load", lambda path, **options: opened.append(path.name) or load(path, **options))
    assert len(list(read_examples(tmp_path / "i.tsv", Reading()))) == 10
    assert opened == ["x.npz", "y.npz"]


def seqcli(*arguments, cwd):
    with contextlib.chdir(cwd):
        done = run_inside(*arguments)
    return done.out, done.err, done.code


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "x.npz\t8\t3\ta",
            "'x.npz': holds 10 frames, and this sequence has those from 8 to 11. 'start' counts from 0, and 'length' is "
            "a number of frames.",
        ),
        ("x.npz\t-1\t3\ta", "'-1' in the column 'start' is no number of frames"),
        ("x.npz\t0\t2.5\ta", "'2.5' in the column 'length' is no number of frames"),
        ("x.npz\t0\t\ta", "'' in the column 'length' is no number of frames"),
        ("x.npz\t0\t3", "3 tab-separated columns where the file's first line has 4"),
        ("y.npz\t0\t3\ta", "'y.npz': there is no such file"),
        ("../x.npz\t0\t3\ta", "'../x.npz': lies outside the folder of the index: refused"),
        ("x.npz#y\t0\t3\ta", "'x.npz#y': holds no array 'y'. It holds: x."),
        ("words.npy\t0\t1\ta", "'words.npy': holds values of type <U1, no numbers"),
        ("complex.npy\t0\t1\ta", "'complex.npy': holds values of type complex128, no numbers"),
        ("infinite.npy\t1\t2\ta", "'infinite.npy': frame 2, channel 1: 'inf' is infinite"),
        ("wide.npy\t0\t1\ta", "3 channels where the first sequence has 2"),
        (
            "pickle.npy\t0\t1\ta",
            "'pickle.npy': a pickle is not loaded: it could run any program. Save the array with "
            "numpy.save(..., allow_pickle=False).",
        ),
    ],
)
def test_a_line_that_is_wrong(tmp_path, line, message):
    folder = tmp_path / "set"
    folder.mkdir()
    joined(folder)
    joined(folder, "wide.npy", (2, 3))
    np.save(folder / "words.npy", np.array(["a"]))
    np.save(folder / "complex.npy", np.array([1j]))
    np.save(folder / "infinite.npy", np.array([[0, 0], [0, 0], [np.inf, 0]]))
    (folder / "pickle.npy").write_bytes(pickle.dumps([1]))
    (folder / "i.tsv").write_text(f"{HEADER}x.npz\t0\t3\tb\n{line}\n")
    assert seqcli("data", "stats", "set/i.tsv", "--format", "npz", cwd=tmp_path) == (
        "",
        f"error: set/i.tsv:3: {message}\n",
        65,
    )


@pytest.mark.parametrize(
    ("header", "columns", "message", "code"),
    [
        ("file\tstart\n", None, "i.tsv:1: the header has no column 'length'. The header has: file, start.", 65),
        ("", None, "i.tsv:1: the header has no column 'file'. The header has: x.npz, 0, 3, a.", 65),
        (
            "file\tbegin\tlength\n",
            None,
            "i.tsv:1: the header has no column 'start'. The header has: file, begin, length.",
            65,
        ),
        (HEADER, {"strat": "x"}, "data.columns: unknown column 'strat'. Did you mean 'start'?", 2),
        (HEADER, {"token": "x"}, "data.columns: unknown column 'token'. Known: source, start, length, target.", 2),
        (HEADER, {"text": "words"}, "i.tsv:1: the header has no column 'words'.", 65),
    ],
)
def test_a_header_that_is_wrong(tmp_path, header, columns, message, code):
    joined(tmp_path)
    (tmp_path / "i.tsv").write_text(header + "x.npz\t0\t3\ta\n")
    with contextlib.chdir(tmp_path), pytest.raises(UserError) as caught:
        list(read_examples("i.tsv", Reading("npz", columns=columns)))
    assert str(caught.value).partition(" The header has")[0] == message.partition(" The header has")[0]
    assert caught.value.code == code


def test_lint_goes_on_behind_a_bad_line(tmp_path):
    joined(tmp_path)
    (tmp_path / "i.tsv").write_text(f"{HEADER}x.npz\t9\t2\ta\nx.npz\t0\t2\tb\nx.npz\tz\t2\tc\n")
    out, _, code = seqcli("data", "lint", "i.tsv", "-q", cwd=tmp_path)
    assert [line.partition(": ")[0] for line in out.splitlines()[:2]] == ["i.tsv:2", "i.tsv:4"]
    assert code == 65


def test_what_an_index_names_counts_as_data(tmp_path):
    joined(tmp_path, "x.npy")
    index = tmp_path / "i.tsv"
    index.write_text(HEADER + "x.npy\t0\t2\ta\nx.npy\t2\t2\tb\n../y.npy\t0\t1\tc\nx.npy\n")
    config = DataConfig(train=str(index))
    corpus = open_corpus(config)
    assert corpus.size("train") == index.stat().st_size + (tmp_path / "x.npy").stat().st_size
    before = corpus.fingerprint("train")
    joined(tmp_path, "x.npy", (11, 2))
    assert open_corpus(config).fingerprint("train") != before


# Sets of the catalogue


def test_files_that_an_index_names_lie_beside_it_in_the_cache(tmp_path, monkeypatch):
    mirror = tmp_path / "mirror" / "toy"
    mirror.mkdir(parents=True)
    joined(mirror)
    (mirror / "all.tsv").write_text("id\twho\tfrom\tn\tsaid\nq\t7\t0\t4\tyes\nr\t1\t4\t6\tno\n")
    made = Division(
        ("all.tsv",),
        unit="rows",
        rows={"dev.tsv": {"who": (7,)}, "train.tsv": {}},
        columns={"file": "x.npz", "start": "from", "length": "n", "label": "said"},
    )
    texts = divide(made, {"all.tsv": (mirror / "all.tsv").read_text()})
    assert texts == {"dev.tsv": HEADER + "x.npz\t0\t4\tyes\n", "train.tsv": HEADER + "x.npz\t4\t6\tno\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    paths = [mirror / "all.tsv", mirror / "x.npz", tmp_path / "dev.tsv", tmp_path / "train.tsv"]
    files = {path.name: DataFile(path.name, sha256_file(path), path.stat().st_size) for path in paths}
    source = {"kind": "elsewhere", "url": "https://example.org/toy", "what": "as tapes"}
    splits = {"train": ("train.tsv",), "dev": ("dev.tsv",)}
    entry = DataSet("toy", "d", "t", "l", "c", "s", "npz", splits, (source,), beside=("x.npz",), made=made, files=files)
    with pytest.raises(UserError, match=r"Tried https://example.org/toy \(as tapes\)") as caught:
        obtain_split(entry, "train.tsv")
    assert caught.value.code == 74
    monkeypatch.setenv("SEQCLI_MIRROR", str(mirror.parent))
    train = obtain_split(entry, "train.tsv")
    assert train == cached_path(entry, "train.tsv")
    (one,) = read_examples(train, Reading("npz"))
    assert one.source.tolist() == (mirror_array := np.arange(20).reshape(10, 2))[4:].tolist()
    assert one.target == "no"
    cached_path(entry, "x.npz").write_bytes(b"damaged")
    (again,) = read_examples(obtain_split(entry, "train.tsv"), Reading("npz"))
    assert again.source.tolist() == mirror_array[4:].tolist()


def test_runs_of_lines_are_cut_in_their_order_with_a_gap():
    share = {"train.ts": (0, 0.5), "test.ts": (0.5, 1)}
    rule = Division(("a",), within=r"\d", share=share, gap=1, channels=2)
    rows = "".join(f"{label},{step},{-step},{step},{-step}\n" for label in (0, 1) for step in range(6))
    head = "@timeStamps false\n@dimensions 2\n@classLabel true\n@data\n"
    assert divide(rule, {"a": rows}) == {
        "train.ts": head + "0,0:0,0:0\n1,1:-1,-1:0\n2,2:-2,-2:0\n0,0:0,0:1\n1,1:-1,-1:1\n2,2:-2,-2:1\n",
        "test.ts": head + "4,4:-4,-4:0\n5,5:-5,-5:0\n4,4:-4,-4:1\n5,5:-5,-5:1\n",
    }


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "sizes", "channels", "first"),
    [
        ("utd-mhad-skeleton", (323, 108, 430), 60, [48, 52, 53]),
        ("utd-mhad-inertial", (323, 108, 430), 6, [160, 154, 165]),
        ("utd-mhad-depth", (323, 108, 430), 24 * 32, [48, 52, 53]),
        ("an4-mfcc", (857, 91, 130), 13, [99, 69, 89]),
        ("hand-gesture", (3705, 730, 733), 2, [16, 16, 16]),
    ],
)
def test_the_real_sets(mirror, name, sizes, channels, first):
    corpus = open_corpus(DataConfig(corpus=name))
    examples = {split: list(corpus.examples(split)) for split in ("train", "dev", "test")}
    assert tuple(map(len, examples.values())) == sizes
    assert {one.source.shape[1] for split in examples.values() for one in split} == {channels}
    assert [len(one.source) for one in examples["train"][:3]] == first
    if name.startswith("utd"):
        labels = Counter(one.target for one in examples["test"])
        assert (len(labels), min(labels.values()), max(labels.values())) == (27, 15, 16)
        people = {
            split: {line.split("_")[1] for line in corpus.files(split)[0].read_text().splitlines()[1:]}
            for split in examples
        }
        assert people == {"train": {"s1", "s3", "s5"}, "dev": {"s7"}, "test": {"s2", "s4", "s6", "s8"}}
    if name == "an4-mfcc":
        assert {one.target for one in examples["test"]} >= {"YES", "GO"}
        speakers = [
            {line.split("-")[1] for line in corpus.files(split)[0].read_text().splitlines()[1:]} for split in examples
        ]
        assert list(map(len, speakers)) == [67, 7, 10]
        assert not speakers[0] & (speakers[1] | speakers[2])
    if name == "hand-gesture":
        assert {one.target for one in examples["train"]} == {"stop", "clockwise", "counter-clockwise", "move"}
        assert data_set(name).licence == "Apache 2.0"
