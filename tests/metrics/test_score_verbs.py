"""The verbs in a shell: exact stdout, stderr and exit codes."""

import gzip
import json
import subprocess
import sys

import jiwer
import pytest
import sacrebleu

from seqcli import __version__

HYP = "The dog the dog hiding under the bed\n"
REF_1 = "The Dog is hiding under the bed\n"
REF_2 = "There is a dog under the bed\n"
BLEU_SIGNATURE = f"case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
LECTURE = (
    f"BLEU|nrefs:2|{BLEU_SIGNATURE} = 38.3 75.0/42.9/33.3/20.0 (BP = 1.000 ratio = 1.143 hyp_len = 8 ref_len = 7)\n"
)


@pytest.fixture
def lecture(shell):
    shell.write("hyp", HYP)
    shell.write("ref1", REF_1)
    shell.write("ref2", REF_2)
    return shell


def test_the_example_of_the_lecture(lecture):
    files = ("hyp", "ref1", "ref2")
    assert lecture.out("bleu", *files) == LECTURE
    assert lecture.out("bleu", *files, "-lc", "-b") == "41.1\n"
    assert lecture.out("chrf", *files) == (
        f"chrF2|nrefs:2|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu.__version__} = 68.0\n"
    )
    assert lecture.out("ter", *files) == (
        f"TER|nrefs:2|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:{sacrebleu.__version__} = 28.6\n"
    )


def test_on_a_terminal_a_table(lecture):
    assert (
        lecture.terminal("bleu", "hyp", "ref1", "ref2")
        == f"""\
BLEU               38.3
1-gram precision   75.0  6/8
2-gram precision   42.9  3/7
3-gram precision   33.3  2/6
4-gram precision   20.0  1/5
brevity penalty   1.000
length ratio      1.143  8 against 7
lines                 1
signature  nrefs:2|{BLEU_SIGNATURE}
"""
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (["bleu", "-w", "3"], ["-w", "3"]),
        (
            ["bleu", "--tokenize", "intl", "--smooth-method", "floor", "--smooth-value", "0.2", "--lowercase", "-b"],
            ["--tokenize", "intl", "--smooth-method", "floor", "--smooth-value", "0.2", "--lowercase", "-b"],
        ),
        (["bleu", "--confidence", "--confidence-n", "50"], ["--confidence", "--confidence-n", "50"]),
        (["chrf", "--chrf-word-order", "2", "-w", "4"], ["-m", "chrf", "--chrf-word-order", "2", "-w", "4"]),
        (["ter", "--ter-case-sensitive"], ["-m", "ter", "--ter-case-sensitive"]),
    ],
)
def test_the_line_in_a_pipe_is_that_of_the_sacrebleu_command(shell, ours, theirs):
    shell.write("hyp", HYP + "And so it went on, all day long.\nIt was 5 o'clock in the morning.\n")
    shell.write("ref", REF_1 + "So it went on all day long.\nIt was five in the morning.\n")
    verb, *options = ours
    code, expected, _ = shell.run("ref", "-i", "hyp", "-f", "text", *theirs, module="sacrebleu")
    assert code == 0
    assert shell.out(verb, "hyp", "ref", *options) == expected


def test_ways_to_give_the_texts(lecture):
    lecture.write("both.tsv", REF_1[:-1] + "\t" + REF_2)
    (lecture.folder / "ref1.gz").write_bytes(gzip.compress(REF_1.encode()))
    assert lecture.out("bleu", "-", "ref1", "ref2", stdin=HYP.encode()) == LECTURE
    assert lecture.out("bleu", "hyp", "both.tsv", "--num-refs", "2") == LECTURE
    assert lecture.out("bleu", "hyp", "both.tsv", "--variable-refs") == LECTURE
    assert lecture.out("bleu", "hyp", "ref1.gz", "ref2") == LECTURE
    assert lecture.out("bleu", "hyp", "ref1", "-", stdin=REF_2.encode()) == LECTURE


def test_a_variable_number_of_references(lecture):
    lecture.write("hyp", HYP + "no one was at home that day\n")
    lecture.write("refs", REF_1[:-1] + "\t" + REF_2 + "nobody was at home that day\t\n")
    out = lecture.out("bleu", "hyp", "refs", "--variable-refs", "--json")
    assert json.loads(out)["signature"] == f"nrefs:var|{BLEU_SIGNATURE}"
    code, out, err = lecture.run("chrf", "hyp", "refs", "--variable-refs", "--sentence")
    assert (code, out.count("\n")) == (0, 2)
    assert err == (
        f"chrF2|nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu.__version__}, "
        "one score for each of 2 lines\n"
    )


def test_json_is_exact(lecture):
    score = json.loads(lecture.out("bleu", "hyp", "ref1", "ref2", "--json"))
    expected = sacrebleu.corpus_bleu([HYP], [[REF_1], [REF_2]])
    assert score == {
        "name": "BLEU",
        "value": expected.score,
        "signature": f"nrefs:2|{BLEU_SIGNATURE}",
        "counts": {
            "precisions": expected.precisions,
            "matches": [6, 3, 2, 1],
            "totals": [8, 7, 6, 5],
            "bp": 1.0,
            "ratio": 8 / 7,
            "hyp_len": 8,
            "ref_len": 7,
            "lines": 1,
        },
    }


@pytest.mark.parametrize(
    "dirty",
    [
        b"\xef\xbb\xbf" + HYP.encode(),
        HYP.encode().replace(b"\n", b"\r\n"),
        HYP.encode().rstrip(b"\n"),
        HYP.encode().replace(b" ", "\u2028".encode(), 1),
    ],
    ids=["BOM", "CRLF", "no final newline", "U+2028"],
)
def test_the_same_score_as_the_clean_file(lecture, dirty):
    lecture.write("hyp", dirty)
    assert lecture.out("bleu", "hyp", "ref1", "ref2") == LECTURE


def test_a_nul_is_a_character_of_its_line(lecture):
    lecture.write("hyp", b"\x00 " + HYP.encode() + b"\x00\n")
    lecture.write("ref1", REF_1 + "a b\n")
    assert lecture.out("bleu", "hyp", "ref1", "-b") == lecture.out("bleu", "hyp", "ref1", "-b")
    assert json.loads(lecture.out("bleu", "hyp", "ref1", "--json"))["counts"]["hyp_len"] == 10


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bleu", "missing", "ref1"], 74, "missing: cannot read: No such file or directory"),
        (["bleu", "hyp", "missing"], 74, "missing: cannot read: No such file or directory"),
        (["bleu", "folder", "ref1"], 74, "folder: cannot read: Is a directory"),
        (["bleu", "empty", "empty"], 65, "empty: is empty, so there is nothing to score"),
        (
            ["ter", "hyp", "three"],
            65,
            "hyp: the hypothesis has 1 line, but the reference three has 3 lines. "
            "Line N is scored against line N: look for a line that was lost, added or cut in two.",
        ),
        (
            ["bleu", "three", "hyp"],
            65,
            "three: the hypothesis has 3 lines, but the reference hyp has 1 line. "
            "Line N is scored against line N: look for a line that was lost, added or cut in two.",
        ),
        (
            ["bleu", "three", "hyp", "ref1", "ref2"],
            65,
            "three: 3 references of one line each against a hypothesis of 3 lines: the references look transposed "
            "(read so, only the first line would be scored, and it would match anything). "
            "Give each reference as many lines as the hypothesis has.",
        ),
        (
            ["bleu", "three", "tsv", "--num-refs", "3"],
            65,
            "three: 3 references of one line each against a hypothesis of 3 lines: the references look transposed "
            "(read so, only the first line would be scored, and it would match anything). "
            "Put the references of line N into line N.",
        ),
        (
            ["bleu", "hyp", "tsv", "--num-refs", "2"],
            65,
            "tsv:1: 3 tab-separated references, but --num-refs says 2. --variable-refs takes as many as each line has.",
        ),
        (["bleu", "hyp", "blank", "--variable-refs"], 65, "blank:1: the line has no reference"),
        (
            ["chrf", "latin", "ref1"],
            65,
            "latin:1: invalid UTF-8 at byte 4 of the line (0xe9). "
            "Convert the file (iconv -f LATIN1 -t UTF-8), or go on with --invalid replace.",
        ),
        (["bleu", "hyp"], 2, "no references. seqcli bleu HYP REF [REF...]; '-' as HYP reads it from standard input."),
        (["bleu", "-", "-"], 2, "'-' given twice. Standard input can be read once; put the other text into a file."),
        (["bleu", "hyp", "ref1", "--tokenize", "12a"], 2, "unknown tokenizer '12a'. Did you mean '13a'?"),
        (["bleu", "hyp", "ref1", "--smooth", "flor"], 2, "unknown smoothing method 'flor'. Did you mean 'floor'?"),
        (
            ["bleu", "hyp", "ref1", "--invalid", "replce"],
            2,
            "--invalid: unknown value 'replce'. Did you mean 'replace'?",
        ),
        (
            ["bleu", "hyp", "ref1", "--sentence", "--confidence"],
            2,
            "--sentence goes with neither --confidence nor --compare",
        ),
        (["bleu", "hyp", "ref1", "--compare", "hyp"], 2, "'hyp' is given twice as a system"),
        (
            ["bleu", "hyp", "ref1", "--compare", "three"],
            65,
            "three: the hypothesis has 3 lines, but the reference ref1 has 1 line. "
            "Line N is scored against line N: look for a line that was lost, added or cut in two.",
        ),
        (["wer", "hyp", "blank"], 65, None),
        (
            ["wer", "hyp", "three"],
            65,
            "hyp: the hypothesis has 1 line, but the reference three has 3 lines. "
            "Line N is scored against line N: look for a line that was lost, added or cut in two.",
        ),
        (["accuracy", "blank", "hyp"], 65, "blank:1: the gold label is empty"),
        (["spans", "empty"], 65, "empty: has no sentence, so there is nothing to score"),
        (
            ["spans", "latin"],
            65,
            "latin:1: invalid UTF-8 at byte 4 of the line (0xe9). "
            "Convert the file (iconv -f LATIN1 -t UTF-8), or go on with --invalid replace.",
        ),
        (["spans", "hyp", "--scheme", "bioe"], 2, "unknown tag scheme 'bioe'. Did you mean 'bioes'?"),
    ],
)
def test_one_line_for_each_mistake(lecture, arguments, code, message):
    lecture.write("three", "one line\nof three\nin all\n")
    lecture.write("empty", "")
    lecture.write("blank", "\n")
    lecture.write("tsv", "a\tb\tc\n")
    lecture.write("latin", b"caf\xe9\n")
    (lecture.folder / "folder").mkdir()
    done, out, err = lecture.run(*arguments)
    assert (done, out) == (code, "")
    if message is None:
        message = "the reference has no words, so an error rate is undefined"
        assert err.startswith("warning: blank:1: the reference is empty")
        err = err[err.index("\n") + 1 :]
    assert err == f"error: {message}\n"


@pytest.mark.parametrize(
    ("verb", "hypothesis", "reference", "warnings"),
    [
        (
            "bleu",
            "so be it\n",
            "so be it\n",
            [
                "BLEU is 0.0 although the hypothesis equals the reference: no line of the hypothesis has 4 words, so there "
                "is no 4-gram to match. Use --effective-order, a lower --max-ngram-order, or seqcli chrf"
            ],
        ),
        (
            "bleu",
            "It rained , so we stayed .\n",
            "It rained, so we stayed.\n",
            [
                "hyp: looks tokenised: 1 of 1 line with a full stop or a comma have it apart from the word. BLEU tokenises "
                "by itself and expects plain text: detokenise it, or say --tokenize none (tokenised on purpose) or "
                "--force"
            ],
        ),
        (
            "ter",
            "It rained , so we stayed .\n",
            "It rained, so we stayed.\n",
            [
                "hyp: looks tokenised: 1 of 1 line with a full stop or a comma have it apart from the word. The reference "
                "is not: detokenise the hypothesis, or words will not match"
            ],
        ),
        ("ter", "It rained , so we stayed .\n", "It rained , so we left .\n", []),
        ("chrf", "It rained , so we stayed .\n", "It rained, so we stayed.\n", []),
        (
            "chrf",
            "\none two\n\n",
            "zero\none two\nthree\n",
            ["hyp:1: the hypothesis is empty (and 1 more): it matches nothing and counts against the whole"],
        ),
        (
            "chrf",
            "zero\none two\n",
            "\none two\n",
            ["ref:1: the reference is empty: it stays a reference without words"],
        ),
    ],
)
def test_traps_are_pointed_out(shell, verb, hypothesis, reference, warnings):
    shell.write("hyp", hypothesis)
    shell.write("ref", reference)
    code, out, err = shell.run(verb, "hyp", "ref", "-b")
    assert code == 0
    assert out.strip().replace(".", "").isdigit()
    assert err == "".join(f"warning: {text}\n" for text in warnings)


def test_one_score_a_line(lecture):
    lecture.write("hyp", HYP + "\nthe bed\n")
    lecture.write("ref1", REF_1 * 3)
    code, out, err = lecture.run("bleu", "-", "ref1", "--sentence", "-w", "2", stdin=(HYP + "\nthe bed\n").encode())
    expected = [sacrebleu.sentence_bleu(line, [REF_1]).score for line in (HYP, "", "the bed")]
    assert (code, out) == (0, "".join(f"{score:.2f}\n" for score in expected))
    assert err == (
        "warning: <stdin>:2: the hypothesis is empty: it matches nothing and counts against the whole\n"
        f"BLEU|nrefs:1|{BLEU_SIGNATURE.replace('eff:no', 'eff:yes')}, one score for each of 3 lines\n"
    )
    code, _, err = lecture.run("bleu", "-", "ref1", "--sentence", "-q", stdin=HYP.encode() * 3)
    assert (code, err) == (0, "")
    code, out, err = lecture.run("bleu", "-", "ref1", "--sentence", stdin=HYP.encode() * 2)
    assert (code, out.count("\n")) == (65, 2)
    assert err.startswith("error: <stdin>: the hypothesis has 2 lines, but the reference ref1 has 3 lines.")


def test_sentences_are_answered_as_they_come(lecture):
    lecture.write("ref1", REF_1 * 2)
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "chrf", "-", "ref1", "--sentence"],
        cwd=lecture.folder,
        env=lecture.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        for line in (HYP, REF_1):
            process.stdin.write(line.encode())
            process.stdin.flush()
            answer = process.stdout.readline()  # hangs if the answer waits for more input
            assert answer.strip().replace(b".", b"").isdigit()
        process.stdin.close()
    assert process.returncode == 0


def test_comparison(shell):
    lines = [f"line {number} says that {number * 7 % 11} dogs sat under {number * 5 % 13} beds" for number in range(30)]
    shell.write("ref", "\n".join(lines) + "\n")
    shell.write("good", "\n".join(line.replace("sat", "lay") for line in lines) + "\n")
    bad = [line.replace("dogs sat", "cats lay").replace("says", "tells") for line in lines]
    shell.write("bad", "\n".join(bad) + "\n")
    command = ("bleu", "bad", "ref", "--compare", "good", "--paired-bs-n", "200", "--paired-ar-n", "200")
    out = shell.out(*command)
    assert out == shell.out(*command)
    first, second = out.splitlines()
    signature = f"BLEU|nrefs:1|bs:200|ar:200|seed:12345|{BLEU_SIGNATURE} = "
    assert first.startswith(signature)
    assert first.endswith(" bad (baseline)")
    assert second.startswith(signature)
    assert second.endswith(" good (p = 0.0050 bootstrap, 0.0050 randomisation)")
    results = json.loads(shell.out(*command, "--json", "--seed", "3"))
    assert [result["system"] for result in results] == ["bad", "good"]
    assert results[0]["p_bootstrap"] is None
    assert 0 < results[1]["p_randomisation"] < 0.05
    code, theirs, _ = shell.run(
        "ref", "-i", "bad", "good", "--paired-bs", "--paired-bs-n", "200", "-f", "json", module="sacrebleu"
    )
    assert code == 0
    scores = [entry["BLEU"]["score"] for entry in json.loads(theirs)]
    assert scores == [pytest.approx(result["value"], rel=1e-15) for result in results]


def test_pipes_and_full_devices(lecture):
    lecture.write("ref1", REF_1 * 20000)
    lecture.write("hyp", HYP * 20000)
    command = [sys.executable, "-m", "seqcli", "chrf", "hyp", "ref1", "--sentence"]
    with subprocess.Popen(
        command, cwd=lecture.folder, env=lecture.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"68.0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*command[:3], "wer", "ref2", "ref2"],
            cwd=lecture.folder,
            env=lecture.environment,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 74
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.endswith(b"No space left on device\n")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("verb", ["bleu", "chrf", "ter", "wer", "spans", "accuracy"])
def test_help_ends_with_examples_and_torch_is_never_imported(lecture, verb):
    out = lecture.out(verb, "--help")
    assert f"  seqcli {verb} " in out.split("Examples:")[1]
    lecture.write("conll", "dog B-X B-X\n")
    arguments = ["conll"] if verb == "spans" else ["hyp", "ref1"]
    code = (
        "import sys\nfrom seqcli.cli.app import main\n"
        f"sys.argv[1:] = {[verb, *arguments]!r}\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"heavy = {{'torch', 'rich', 'sklearn', *{['numpy'] if verb != 'accuracy' else []}}}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=lecture.folder, env=lecture.environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


def test_wer(lecture):
    head = f"wer|case:mixed|punct:yes|norm:none|jiwer:{jiwer_version()}|v:seqcli-{__version__}"
    assert lecture.out("wer", "hyp", "ref1") == (
        f"{head} = 42.86 (substitutions = 2 deletions = 0 insertions = 1 ref_len = 7 hyp_len = 8)\n"
    )
    assert lecture.out("wer", "hyp", "ref1", "--lowercase", "-b") == "28.57\n"
    assert lecture.out("wer", "hyp", "ref1", "--characters", "-b") == f"{100 * jiwer.cer(REF_1, HYP):.2f}\n"
    lecture.write("hyp", HYP + "one more\n")
    lecture.write("ref1", REF_1 + "\n")
    code, out, err = lecture.run("wer", "hyp", "ref1", "--sentence")
    assert (code, out) == (0, "42.86\nnan\n")
    assert err == (
        "warning: ref1:2: the reference is empty: it stays a reference without words\n"
        f"{head}, one score for each of 2 lines\n"
    )
    assert (
        lecture.terminal("wer", "ref2", "ref2")
        == f"""\
WER               0.00
substitutions        0
deletions            0
insertions           0
hits                 7
reference words      7
hypothesis words     7
lines                1  1 without an error
signature  {head}
"""
    )


def test_accuracy(shell):
    shell.write("gold", "pos\nneg\npos\nneg\nneu\npos\n")
    shell.write("predicted", "pos\nneg\nneg\nneg\n\npos \n")
    code, out, err = shell.run("accuracy", "gold", "predicted")
    assert err == "warning: predicted:5: the predicted label is empty: it counts as wrong\n"
    assert code == 0
    assert out == f"accuracy|unit:line|v:seqcli-{__version__} = 66.67 (4/6) macro_F1 = 40.00 kappa = 0.5000\n"
    code, out, _ = shell.run("accuracy", "gold", "predicted", "--confusion")
    assert out == (
        "gold \\ predicted\t\tneg\tneu\tpos\n\t0\t0\t0\t0\nneg\t0\t2\t0\t0\nneu\t1\t0\t0\t0\npos\t0\t1\t0\t2\n"
    )
    assert shell.run("accuracy", "gold", "predicted", "-b", "-w", "1")[1] == "66.7\n"
    assert (
        shell.terminal("accuracy", "gold", "gold")
        == f"""\
accuracy  100.00  6/6
macro F1  100.00  over 3 labels
kappa     1.0000

label  precision  recall      F1  correct  gold  predicted
neg       100.00  100.00  100.00        2     2          2
neu       100.00  100.00  100.00        1     1          1
pos       100.00  100.00  100.00        3     3          3

gold \\ predicted  neg  neu  pos
neg                 2    0    0
neu                 0    1    0
pos                 0    0    3

signature  accuracy|unit:line|v:seqcli-{__version__}
"""
    )


GOLD = """\
-DOCSTART- -X- O

Mohan B-PER
Sharma I-PER
drove O
a O
Maruti B-PROD

in O
New B-LOC
Delhi I-LOC
"""
PREDICTED = """\
Mohan\tB-PER
Sharma\tI-PER
drove\tO
a\tB-PROD
Maruti\tI-PROD


in\tO
New\tB-ORG
Delhi\tI-ORG"""
SPANS_HEAD = f"F1|spans|scheme:bio|matching:conlleval|average:micro|v:seqcli-{__version__}"
SPANS_OUT = f"""\
{SPANS_HEAD} = 33.33 33.33/33.33 (correct = 1 gold = 3 predicted = 3) accuracy = 50.00
LOC = 0.00 0.00/0.00 (correct = 0 gold = 1 predicted = 0)
ORG = 0.00 0.00/0.00 (correct = 0 gold = 0 predicted = 1)
PER = 100.00 100.00/100.00 (correct = 1 gold = 1 predicted = 1)
PROD = 0.00 0.00/0.00 (correct = 0 gold = 1 predicted = 1)
"""


def test_spans(shell):
    shell.write("gold", GOLD)
    shell.write("predicted", PREDICTED)
    assert shell.run("spans", "gold", "predicted") == (
        0,
        SPANS_OUT,
        "scheme bio, recognised from the gold tags (--scheme says it)\n",
    )
    assert shell.out("spans", "gold", "predicted", "--scheme", "IOB2") == SPANS_OUT
    assert shell.out("spans", "gold", "predicted", "--scheme", "bio", "-b", "-w", "1") == "33.3\n"
    both = "".join(
        f"{gold} {predicted.split(chr(9))[-1]}\n"
        for gold, predicted in zip(GOLD.split("\n")[2:], PREDICTED.replace("\n\n\n", "\n\n").split("\n"), strict=False)
    )
    assert shell.out("spans", "-", "--scheme", "bio", stdin=both.encode()) == SPANS_OUT
    assert json.loads(shell.out("spans", "gold", "predicted", "--scheme", "bio", "--json"))["counts"]["correct"] == 1
    assert (
        shell.terminal("spans", "gold", "predicted", "--scheme", "bio")
        == f"""\
type  precision  recall      F1  correct  gold  predicted
LOC        0.00    0.00    0.00        0     1          0
ORG        0.00    0.00    0.00        0     0          1
PER      100.00  100.00  100.00        1     1          1
PROD       0.00    0.00    0.00        0     1          1
all       33.33   33.33   33.33        1     3          3
accuracy   50.00  4/8 tokens
signature  {SPANS_HEAD[3:]}
"""
    )


def test_span_errors_are_listed(shell):
    shell.write("gold", GOLD)
    shell.write("predicted", PREDICTED)
    rows = (
        "error\tat\tgold\tgold_tokens\tpredicted\tpredicted_tokens\tsentence\n"
        "boundary\tpredicted:4\tPROD\tMaruti\tPROD\ta Maruti\tMohan Sharma drove a Maruti\n"
        "type\tpredicted:9\tLOC\tNew Delhi\tORG\tNew Delhi\tin New Delhi\n"
    )
    assert shell.out("spans", "gold", "predicted", "--scheme", "bio", "--errors", "-") == rows
    assert shell.out("spans", "gold", "predicted", "--scheme", "bio", "--errors", "rows.tsv") == SPANS_OUT
    assert (shell.folder / "rows.tsv").read_text() == rows


def test_spans_and_labels_of_two_systems(shell):
    gold = "".join(f"w{number} B-X\n\n" for number in range(40))
    shell.write("gold", gold)
    shell.write("mine", gold)
    shell.write("theirs", gold.replace("w3 B-X", "w3 O").replace("w1 B-X", "w1 O"))
    code, out, err = shell.run("spans", "gold", "mine", "--compare", "theirs", "--scheme", "bio")
    *_, other, says = out.splitlines()
    assert (code, err, other) == (0, "", "theirs: F1 = 97.44")
    assert says.startswith("mine and theirs cannot be told apart: +2.56 F1 (95% interval +0.00 to +")
    shell.write("theirs", gold.replace("B-X", "O", 20))
    *_, says = shell.run("spans", "gold", "mine", "--compare", "theirs", "--scheme", "bio")[1].splitlines()
    assert says.startswith("mine is better than theirs by 33.33 F1 (95% interval ")
    shell.write("short", "w0 B-X\n")
    code, out, err = shell.run("spans", "gold", "mine", "--compare", "short", "--scheme", "bio")
    assert (code, out) == (65, "")
    assert err == "error: gold:3: short has no sentence left to match the one that begins here\n"
    shell.write("labels", "a\nb\n" * 10)
    shell.write("all-a", "a\na\n" * 10)
    *_, other, says = shell.run("accuracy", "labels", "labels", "--compare", "all-a")[1].splitlines()
    assert other == "all-a: accuracy = 50.00"
    assert says.startswith("labels is better than all-a by 50.00 points (95% interval ")
    assert says.endswith(", McNemar p = 0.002)")


def test_spans_of_invalid_tags(shell):
    shell.write("gold", "a B-X\nb I-X\nc O\nd B-X\n")
    shell.write("predicted", "a I-X\nb I-X\nc O\nd B-X\n")
    fault = "warning: predicted:1: not valid bio: I-X does not continue a span of its label; "
    code, out, err = shell.run("spans", "gold", "predicted", "--scheme", "bio", "-b")
    assert (code, out, err) == (0, "100.00\n", f"{fault}read as conlleval does\n")
    code, out, err = shell.run("spans", "gold", "predicted", "--scheme", "bio", "-b", "--matching", "strict")
    assert (code, out, err) == (0, "66.67\n", f"{fault}left out by --matching strict\n")


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ("a B-X\nb O\n", "a B-X\nc O\n", "predicted:2: the token is 'c', but 'b' in gold:2"),
        ("a B-X\nb O\n", "a B-X\n", "predicted:1: the sentence has 1 token, but 2 in gold:1"),
        ("a B-X\n\nb O\n", "a B-X\n", "gold:3: predicted has no sentence left to match the one that begins here"),
        ("a B-X\n", "a B-X\n\nb O\n", "predicted:3: gold has no sentence left to match the one that begins here"),
        (
            "a NN\n",
            "a NN\n",
            "gold:1: the last column holds no span tags ('NN'). "
            "Span tags look like B-PER; seqcli accuracy scores other labels.",
        ),
        ("a B-X\n", "a S-X\n", "predicted:1: 'S-X' is not a tag of the scheme bio. --scheme names another one."),
    ],
)
def test_files_that_do_not_fit_together(shell, gold, predicted, message):
    shell.write("gold", gold)
    shell.write("predicted", predicted)
    code, out, err = shell.run("spans", "gold", "predicted", "-q")
    assert (code, out, err) == (65, "", f"error: {message}\n")


def jiwer_version():
    from importlib.metadata import version

    return version("jiwer")
