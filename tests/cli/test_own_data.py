"""A user's own data at the prompt: a table, a pipe, a share for development, tags in another scheme, odd labels."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from tiny import Program

WORDS = ("fine", "good", "warm", "dull", "bad", "cold")


def reviews(count: int = 60) -> list[tuple[str, str]]:
    """Texts whose first word tells the label, in an order that is not one of them alone."""
    return [(f"{WORDS[n % 6]} film number {n}, all in all", "5" if n % 6 < 3 else "1") for n in range(count)]


def as_csv(rows: list[tuple[str, str]], *header: str) -> str:
    lines = [",".join(header)] if header else []
    return "".join(f"{line}\n" for line in [*lines, *(f'"{text}",{label}' for text, label in rows)])


RECIPE = """\
name: mine
task: {kind: classification, baselines: []}
data: {train: train.csv, dev_share: 0.3}
source: {kind: text, tokenizer: {kind: words}}
model: {kind: bag-of-words}
"""
TAGGER = """\
name: tags
task: {kind: tagging}
target: {kind: tags, scheme: auto}
data: {train: train.conll, dev_share: 0.3}
model: {embedder: {kind: tokens, dim: 4}, encoder: {kind: lstm, dim: 4}, head: {kind: softmax}}
training: {epochs: 1}
"""
IOB1 = "Anna\tI-PER\nmet\tO\nRavi\tI-PER\nRao\tB-PER\n.\tO\n\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    Path("mine.yaml").write_text(RECIPE)
    Path("tags.yaml").write_text(TAGGER)
    Path("train.csv").write_text(as_csv(reviews(), "review", "stars"))
    return tmp_path


def fifo(path: str, content: bytes) -> threading.Thread:
    """A pipe by name, into which the content is written once, by a thread."""
    os.mkfifo(path)
    thread = threading.Thread(target=Path(path).write_bytes, args=(content,), daemon=True)
    thread.start()
    return thread


def test_a_csv_file_is_trained_on_and_its_columns_are_kept(folder: Path, seqcli: Program) -> None:
    code, _, err = seqcli("train", "mine.yaml")
    assert code == 0
    assert err.splitlines()[0] == "train.csv: read as csv with a header, text: 'review', label: 'stars'"
    assert "  columns: {text: review, label: stars}\n" in Path("runs/mine/1/recipe.yaml").read_text()
    Path("swapped.csv").write_text("stars,review\n5,fine film\n1,bad film\n")
    code, out, err = seqcli("evaluate", "mine", "swapped.csv", "--json")
    assert (code, err, json.loads(out)["score"]["value"]) == (0, "", 100.0)
    Path("lines.jsonl").write_text('{"review": "fine film", "stars": 5}\n{"review": "bad film", "stars": 1}\n')
    assert json.loads(seqcli("evaluate", "mine", "lines.jsonl", "--json").out)["score"]["value"] == 100.0
    Path("labelled.txt").write_text("5 fine film\n1 bad film\n")
    assert json.loads(seqcli("evaluate", "mine", "labelled.txt", "--format", "labelled", "--json").out)["data"] == (
        "labelled.txt"
    )


def test_a_column_that_cannot_be_told_is_asked_for(folder: Path, seqcli: Program) -> None:
    rows = [f"{text},{label},{n % 3}" for n, (text, label) in enumerate(reviews())]
    Path("train.csv").write_text("\n".join(["words here,x,y", *(row.replace(", all", " all") for row in rows)]) + "\n")
    assert seqcli("train", "mine.yaml") == (
        65,
        "",
        "error: train.csv: which column is the label? There are: words here, x, y. "
        "Set data.columns, such as {text: words here, label: y}.\n",
    )
    assert not Path("runs").exists() or not list(Path("runs").iterdir())
    assert seqcli("train", "mine.yaml", "-q", "--set", "data.columns={text: words here, label: x}").code == 0
    Path("train.csv").write_text("review\nfine film\nbad film\n")
    assert seqcli("train", "mine.yaml") == (65, "", "error: train.csv: no column of labels: there is only review\n")


def test_the_line_that_has_no_label_is_the_one_that_is_named(folder: Path, seqcli: Program) -> None:
    rows = [f"{text}\t{label}\n" for text, label in reviews(24)]
    for name in ("train.tsv", "train.txt"):
        Path(name).write_text("".join([*rows, "a line without a label\n"]))
        assert seqcli("train", "mine.yaml", "--set", f"data.train={name}")[::2] == (
            65,
            f"error: {name}:25: 1 tab-separated column where the file's first line has 2\n",
        )


def test_standard_input_is_looked_at_under_its_name(folder: Path, seqcli: Program) -> None:
    text = as_csv(reviews(), "review", "stars").encode()
    assert seqcli("data", "lint", "-", stdin=text) == (
        0,
        "",
        "<stdin>: read as csv with a header, text: 'review', label: 'stars'\nno faults\n",
    )
    code, out, err = seqcli("data", "stats", "-", "-q", stdin=text)
    assert (code, out.splitlines()[:2], err) == (0, ["                    <stdin>", "sentences                60"], "")
    bad = seqcli("data", "lint", "-", "-q", stdin=b"x y\tz\nd\n" + b"x y\tz\nu v\tw\n" * 20)
    assert bad[:2] == (65, "<stdin>:2: 1 tab-separated column where the file's first line has 2\n")
    assert seqcli("data", "stats", "-", stdin=b"") == (65, "", "error: <stdin>: nothing came through\n")


def test_a_pipe_is_read_once_and_kept(folder: Path, seqcli: Program) -> None:
    text = as_csv(reviews(), "review", "stars").encode()
    writer = fifo("pipe", text)
    code, _, err = seqcli("train", "mine.yaml", "--set", "data.train=pipe")
    writer.join(10)
    assert code == 0
    (kept,) = (folder / "cache" / "read-once").iterdir()
    assert err.splitlines()[0] == f"pipe: read once and kept as {kept}"
    assert kept.read_bytes() == text
    assert f"train: [{kept}]" in Path("runs/mine/1/recipe.yaml").read_text()
    Path("pipe").unlink()
    assert seqcli("evaluate", "mine", "--split", "dev").code == 0
    writer = fifo("pipe", text)
    code, out, err = seqcli("evaluate", "mine", "pipe", "--against", "mine", "--json")
    writer.join(10)
    assert (code, json.loads(out)["data"], err) == (0, "pipe", "")
    assert seqcli("evaluate", "mine", "-", "--json", stdin=text).code == 0
    writer = fifo("tags", IOB1.encode())
    code, out, err = seqcli("data", "convert", "tags", "--to", "bio")
    writer.join(10)
    assert (code, out.split("\n")[0], err) == (0, "Anna\tB-PER", "tags: tag scheme iob1, recognised\n")


@pytest.mark.parametrize("verb", [("data", "lint"), ("data", "stats"), ("train", "mine.yaml", "--set")])
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused_and_not_read(folder: Path, seqcli: Program, verb: tuple[str, ...], device: str) -> None:
    argument = f"data.train={device}" if verb[0] == "train" else device
    assert seqcli(*verb, argument) == (
        74,
        "",
        f"error: {device}: is a device, not a file of data. Give a file, a pipe, or - for standard input.\n",
    )


def test_a_share_for_development_is_a_split(folder: Path, seqcli: Program) -> None:
    assert seqcli("train", "mine.yaml", "-q").code == 0
    counts = {}
    for split in ("train", "dev"):
        code, out, err = seqcli("evaluate", "mine", "--split", split, "--json")
        assert (code, err) == (0, "")
        counts[split] = json.loads(out)["score"]["counts"]["total"]
    assert sum(counts.values()) == 60
    assert 5 < counts["dev"] < 35
    Path("train.csv").write_text("review,stars\nfine film,5\nbad film,1\n")
    assert seqcli("train", "mine.yaml", "--set", "data.dev_share=0.999999", "-q")[::2] == (
        65,
        "error: train.csv: dev_share 0.999999 leaves no example for train. Give a dev file, or another share.\n",
    )


def test_the_scheme_of_the_tags_is_recognised_and_kept(folder: Path, seqcli: Program) -> None:
    Path("train.conll").write_text("".join(IOB1.replace("Anna", f"Anna{n}") for n in range(30)))
    code, out, err = seqcli("train", "tags.yaml")
    assert code == 0
    assert err.splitlines()[0] == "train.conll: tag scheme iob1, recognised"
    assert "spans|scheme:iob1|" in out
    assert "  scheme: iob1\n" in Path("runs/tags/1/recipe.yaml").read_text()
    Path("train.conll").write_text("run\tVB\nhome\tNN\n\n" * 20)
    assert seqcli("train", "tags.yaml")[::2] == (
        65,
        "error: train.conll: target.scheme: auto finds no tag scheme: the tags do not mark spans. Set "
        "target.scheme=null where each tag stands alone, or data.columns where this is the wrong column.\n",
    )


def test_a_tag_that_breaks_its_scheme_names_the_nearest_and_the_command_that_mends_it(
    folder: Path, seqcli: Program
) -> None:
    odd = IOB1.replace("Ravi\tI-PER", "Ravi\tB-PER")
    Path("train.conll").write_text("".join(IOB1.replace("Anna", f"Anna{n}") for n in range(30)) + odd)
    command = "seqcli data convert train.conll --from iob1 --to bio --repair"
    mend = f"The tags come nearest to iob1. '{command}' mends them, 'seqcli data lint train.conll' lists all faults.\n"
    assert seqcli("train", "tags.yaml")[::2] == (
        65,
        "error: train.conll:181: token 3 ('Ravi') of the sentence from this line: B-PER does not touch a span of its "
        f"label before it (iob1). {mend}",
    )
    assert seqcli("train", "tags.yaml", "--set", "target.scheme=bio")[::2] == (
        65,
        "error: train.conll:1: token 1 ('Anna0') of the sentence from this line: I-PER does not continue a span of its "
        f"label (bio). {mend}",
    )
    Path("train.conll").write_text(seqcli(*command.split()[1:]).out)
    assert seqcli("train", "tags.yaml", "-q").code == 0


def test_a_tag_without_its_type_is_refused(folder: Path, seqcli: Program) -> None:
    Path("train.conll").write_text("Anna\tB-PER\nRao\tI-PER\nmet\tO\n\n" * 20 + "Ravi\tB-\n\n")
    code, out, _ = seqcli("data", "lint", "train.conll", "-q")
    assert (code, out) == (65, "train.conll:81: 'B-' has no type behind its '-', which it needs in the scheme bio\n")
    assert seqcli("train", "tags.yaml")[::2] == (
        65,
        "error: train.conll:81: token 1 ('Ravi') of the sentence from this line: 'B-' has no type behind its '-', which "
        "it needs in the scheme bio. The tags come nearest to bio. 'seqcli data lint train.conll' lists all faults.\n",
    )


SWAPPED = (
    "the labels look like texts (60 different ones) and the texts like labels: swap the columns, such as "
    "data.columns={text: 1, label: 0}"
)
HEADER = (
    "the label 'stars' occurs here only, in line 1: if that is a header, say data.columns={text: review, label: stars}"
)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (reviews(), "{text: 1, label: 0}", SWAPPED),
        ([("review", "stars"), *reviews()], "{text: 0, label: 1}", HEADER),
        (
            [(text, f"x{n}") for n, (text, _) in enumerate(reviews())],
            "{text: 0, label: 1}",
            "60 different labels for 60 examples: is that the column of the label? Set data.columns",
        ),
    ],
)
def test_what_is_odd_about_labels_is_said_by_lint_and_by_train(
    folder: Path, seqcli: Program, rows: list[tuple[str, str]], columns: str, message: str
) -> None:
    Path("train.csv").write_text(as_csv(rows))
    option = columns.strip("{}").replace(": ", "=").replace(", ", ",")
    assert seqcli("data", "lint", "train.csv", "--columns", option, "-q")[:2] == (65, f"train.csv:1: {message}\n")
    Path("dev.csv").write_text(as_csv(rows))
    code, _, err = seqcli("train", "mine.yaml", "--set", f"data={{train: train.csv, dev: dev.csv, columns: {columns}}}")
    said = [f"warning: train.csv:1: {message}"]
    assert (code, [line for line in err.splitlines() if ".csv:1: " in line]) == (
        0,
        [*said, *(line.replace("train.csv", "dev.csv") for line in said if "header" in line)],
    )


def test_a_header_of_a_conll_file_is_seen(folder: Path, seqcli: Program) -> None:
    Path("pos.conll").write_text("token\tupos\n" + "Anna\tNN\nran\tVB\n\n" * 20)
    assert seqcli("data", "lint", "pos.conll", "-q")[:2] == (
        65,
        "pos.conll:1: the label 'upos' occurs here only, in line 1: if that is a header, take the line out\n",
    )


def test_the_unknown_word_of_a_prepared_text_is_the_models(folder: Path, seqcli: Program) -> None:
    text = "".join(f"the <unk> {word} film is {WORDS[n % 6]} <unk>\n" for n, word in enumerate(WORDS * 20))
    Path("train.txt").write_text(text)
    Path("lm.yaml").write_text(
        "name: lm\ntask: {kind: language-model, floor: null}\ndata: {train: train.txt, dev: train.txt}\n"
        "source: {kind: text, tokenizer: {kind: words}}\nmodel: {kind: ngram, order: 3}\n"
    )
    code, _, err = seqcli("train", "lm.yaml")
    assert code == 0
    assert "train spells the unknown word out 240 times: it is read as <UNK>\n" in err
    counts = json.loads(seqcli("evaluate", "lm", "train.txt", "--json").out)["score"]["counts"]
    assert (counts["tokens"], counts["unknown"]) == (120 * 8, 240)
    whole = json.loads(seqcli("evaluate", "lm", "train.txt", "--json").out)["score"]["value"]
    Path("other.txt").write_text(text.replace("<unk>", "neverseen"))
    assert json.loads(seqcli("evaluate", "lm", "other.txt", "--json").out)["score"]["value"] == whole
    assert seqcli("tokenize", "--kind", "words", stdin=b"a <unk>, <b>\n").out == "a <unk> , < b >\n"
