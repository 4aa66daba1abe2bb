"""The text verbs as a user meets them: command -> exact stdout, stderr and exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str, given: bytes | str = b"", cwd: Path | None = None, **environment: str) -> tuple[int, str, str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "seqcli", *arguments],
        capture_output=True,
        cwd=cwd,
        input=given.encode() if isinstance(given, str) else given,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_tokenize_and_detokenize() -> None:
    text = "Angela's friend didn't pay.\n\n  (Two  spaces)\there\n"
    code, tokens, errors = run("tokenize", given=text)
    assert (code, tokens, errors) == (0, "Angela 's friend did n't pay .\n\n( Two spaces ) here\n", "")
    assert run("detokenize", given=tokens) == (0, "Angela's friend didn't pay.\n\n(Two spaces) here\n", "")
    code, tokens, errors = run("tokenize", "--joiner", given=text)
    assert tokens.split("\n")[2] == "▁▁￭ (￭ Two ￭▁▁￭ spaces ￭) ￭％0009￭ here"
    assert run("detokenize", "--joiner", given=tokens) == (0, text, "")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("characters", "H é ▁ 🇮🇳\n\n"),
        ("bytes", "<0x48> <0xC3> <0xA9> <0x20> <0xF0> <0x9F> <0x87> <0xAE> <0xF0> <0x9F> <0x87> <0xB3>\n\n"),
        ("whitespace", "Hé 🇮🇳\n\n"),
    ],
)
def test_kinds(kind: str, expected: str) -> None:
    assert run("tokenize", "-k", kind, given="Hé 🇮🇳\n\n", LC_ALL="C") == (0, expected, "")
    assert run("detokenize", "-k", kind, given=expected, LC_ALL="C") == (0, "Hé 🇮🇳\n\n", "")


@pytest.mark.parametrize("options", [("-k", "words", "--joiner"), ("-k", "characters"), ("-k", "bytes")])
def test_odd_line_ends_stay_inside_their_line(options: tuple[str, ...]) -> None:
    text = "a\u2028b\n\u0085\n\x0c\nx\ry\n\0n\n\n last"
    code, tokens, errors = run("tokenize", *options, given=text)
    assert (code, tokens.count("\n"), errors) == (0, 7, "")
    assert run("detokenize", *options, given=tokens) == (0, text + "\n", "")


def test_bom_and_crlf_change_nothing() -> None:
    assert run("tokenize", given=b"\xef\xbb\xbfOne, two.\r\n\r\nThree\r\n") == (0, "One , two .\n\nThree\n", "")


def test_invalid_utf8() -> None:
    message = (
        "error: <stdin>:2: invalid UTF-8 at byte 2 of the line (0xff). "
        "Convert the file (iconv -f LATIN1 -t UTF-8), or go on with --invalid replace.\n"
    )
    assert run("tokenize", given=b"ok\nb\xffd\n", LC_ALL="C") == (65, "ok\n", message)
    assert run("tokenize", "--invalid", "replace", given=b"ok\nb\xff d\n") == (0, "ok\nb \ufffd d\n", "")
    code, _, errors = run("tokenize", "--invalid", "ignore")
    assert (code, errors) == (2, "error: --invalid: unknown value 'ignore'. Known: strict, replace.\n")


def test_long_line(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("short\n" + "ab " * 400_000 + "\n")
    code, out, errors = run("tokenize", "--max-line", "1000000", "long.txt", cwd=tmp_path)
    assert (code, out) == (65, "short\n")
    assert errors == "error: long.txt:2: line is longer than 1,000,000 bytes. Raise --max-line to accept it.\n"
    code, out, errors = run("tokenize", "long.txt", cwd=tmp_path)
    assert (code, out.count("\n"), errors) == (0, 2, "")


def test_missing_file_and_wrong_kind() -> None:
    assert run("tokenize", "none.txt") == (74, "", "error: none.txt: cannot read: No such file or directory\n")
    assert run("tokenize", "-k", "word") == (2, "", "error: unknown tokenizer kind 'word'. Did you mean 'words'?\n")


def test_detokenize_names_the_line_of_a_wrong_token() -> None:
    code, out, errors = run("detokenize", "-k", "bytes", given="<0x41>\nhey\n")
    assert (code, out) == (65, "A\n")
    assert errors == "error: <stdin>:2: 'hey' is not a byte token (<0x00> to <0xFF>)\n"
    code, out, errors = run("detokenize", "-k", "bytes", given="<0x41> <0x0A> <0x42>\n")
    assert (code, out) == (65, "")
    assert errors == (
        "error: <stdin>:1: the tokens spell a line end. Go on with --invalid replace: it becomes a space.\n"
    )
    assert run("detokenize", "-k", "bytes", "--invalid", "replace", given="<0x41> <0x0A> <0x42>\n")[1] == "A B\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes and /dev/full")
def test_closed_pipe_is_quiet_and_a_full_disk_is_not() -> None:
    shell = f'yes "some words" | {sys.executable} -m seqcli tokenize | head -1'
    done = subprocess.run(["bash", "-c", shell], capture_output=True, cwd=ROOT, timeout=60)
    assert (done.stdout, done.stderr) == (b"some words\n", b"")
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seqcli", "tokenize"], input=b"a\n", stdout=full, stderr=subprocess.PIPE, cwd=ROOT
        )
    assert (done.returncode, done.stderr) == (74, b"error: cannot write to stdout: No space left on device\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_answers_each_line_as_it_comes() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "tokenize"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"one", b"two"):
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == line + b"\n"
        process.stdin.close()
        assert process.wait(10) == 0


def test_vocab_from_build_to_decode(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("the cat sat\nthe dog sat\n\nthe end\n")
    (tmp_path / "test.txt").write_text("the bird sat\nthe bird flew\n")
    code, out, errors = run(
        "vocab", "build", "train.txt", "--max-size", "3", "--specials", "<UNK>,<EOS>", "-o", "v.txt", cwd=tmp_path
    )
    assert (code, errors) == (0, "")
    assert out == (
        "rows            5\nspecials        2\ntokens          8\ntypes           5\nunknown tokens  2\n"
        "unknown types   2\ntoken coverage  75.00%\ntype coverage   60.00%\nfile            v.txt\n"
    )
    assert (tmp_path / "v.txt").read_text() == (
        "#seqcli-vocabulary 1\t<UNK>\t<EOS>\n<UNK>\t2\n<EOS>\t0\nthe\t3\nsat\t2\ncat\t1\n"
    )
    assert run("vocab", "show", "v.txt", "-n", "3", cwd=tmp_path) == (
        0,
        "id  count  token\n 0      2  <UNK>\n 1      0  <EOS>\n 2      3  the\n",
        "2 more rows; -n shows more\n",
    )
    shown = json.loads(run("vocab", "show", "v.txt", "-n", "1", "--json", cwd=tmp_path)[1])
    assert (shown["rows"], shown["specials"], len(shown["sha256"])) == (5, ["<UNK>", "<EOS>"], 64)
    assert shown["tokens"] == [{"id": 0, "token": "<UNK>", "count": 2}]
    assert json.loads(run("vocab", "stats", "v.txt", "test.txt", "--json", cwd=tmp_path)[1]) == {
        "rows": 5,
        "tokens": 6,
        "types": 4,
        "unknown_tokens": 3,
        "unknown_types": 2,
        "token_coverage": 0.5,
        "type_coverage": 0.5,
        "most_frequent_unknown": {"bird": 2, "flew": 1},
    }
    code, out, _ = run("vocab", "stats", "v.txt", "test.txt", cwd=tmp_path)
    assert out.endswith("type coverage   50.00%\nmost frequent unknown: bird (2), flew (1)\n")
    assert run("vocab", "encode", "v.txt", given="the bird\n\nsat", cwd=tmp_path) == (0, "2 0\n\n3\n", "")
    assert run("vocab", "decode", "v.txt", given="2 0\n\n3\n", cwd=tmp_path) == (0, "the <UNK>\n\nsat\n", "")
    assert run("vocab", "encode", "v.txt", "--one-hot", given="the bird\n", cwd=tmp_path)[1] == (
        "the            2  0 0 1 0 0\nbird as <UNK>  0  1 0 0 0 0\n\n"
    )


def test_vocab_faults(tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text("\n\n")
    assert run("vocab", "build", "blank.txt", "-o", "v.txt", cwd=tmp_path) == (
        65,
        "",
        "error: blank.txt: no tokens: every line is blank\n",
    )
    assert run("vocab", "build", "-o", "no/v.txt", given="a\n", cwd=tmp_path) == (
        74,
        "",
        "error: no/v.txt: cannot write: No such file or directory\n",
    )
    assert run("vocab", "show", "blank.txt", cwd=tmp_path)[0] == 65
    assert run("vocab", "build", "--specials", "none", "-o", "v.txt", given="a\n", cwd=tmp_path)[0] == 0
    assert run("vocab", "encode", "v.txt", given="a\na b\n", cwd=tmp_path) == (
        65,
        "0\n",
        "error: <stdin>:2: 'b' is not in the vocabulary, which has no <UNK>. "
        "Build it with <UNK> among its special tokens.\n",
    )
    assert run("vocab", "decode", "v.txt", given="0\n7\n", cwd=tmp_path) == (
        65,
        "a\n",
        "error: <stdin>:2: id 7 has no row: the vocabulary has ids 0 to 0\n",
    )
    assert run("vocab", "decode", "v.txt", given="x\n", cwd=tmp_path) == (
        65,
        "",
        "error: <stdin>:1: 'x' is not an id. An id is a number from 0.\n",
    )


def test_train_pieces_and_use_them(tmp_path: Path) -> None:
    lines = [
        f"{who} {what} the {thing}."
        for who in ("Anna", "Ravi", "Mei")
        for what in ("sees", "paints", "cleans")
        for thing in ("table", "garden", "window", "boat")
    ]
    (tmp_path / "c.txt").write_text("\n".join(lines) + "\n")
    assert run("vocab", "train-pieces", "c.txt", "--type", "bpe", "--size", "45", "-o", "sp.model", cwd=tmp_path) == (
        0,
        "pieces          45\nlines           36\nfile            sp.model\n",
        "",
    )
    code, pieces, errors = run(
        "tokenize", "-k", "sentencepiece", "--model", "sp.model", given="Ravi sees\n\n", cwd=tmp_path
    )
    assert (code, pieces.replace(" ", ""), errors) == (0, "▁Ravi▁sees\n\n", "")
    assert run("detokenize", "-k", "sentencepiece", "--model", "sp.model", given=pieces, cwd=tmp_path) == (
        0,
        "Ravi sees\n\n",
        "",
    )
    code, out, errors = run("vocab", "train-pieces", "c.txt", "--size", "9000", "-o", "no.model", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert errors.startswith("error: the corpus is too small for 9,000 pieces: it gives ")
    assert not (tmp_path / "no.model").exists()


@pytest.mark.parametrize("verb", [["tokenize"], ["detokenize"], ["vocab", "build"], ["vocab"]])
def test_help_ends_with_examples_and_loads_nothing_heavy(verb: list[str]) -> None:
    code = f"""if True:
        import sys
        from seqcli.cli.app import main
        try:
            main({[*verb, "--help"]!r})
        except SystemExit as end:
            assert end.code == 0
        heavy = {{"torch", "sentencepiece", "regex", "numpy", "rich"}} & set(sys.modules)
        assert not heavy, heavy
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    *_, title, first, second = done.stdout.rstrip().split("\n")
    assert title.strip() == "Examples:"
    assert "seqcli " in first
    assert "seqcli " in second
