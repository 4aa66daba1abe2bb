"""``seqcli recurrence``: matrices on the command line and on stdin, tables, JSON, a picture."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from tiny import environment, run_inside, run_outside

OUT = """\
t  s_t    y_t
0  0 0 1  1
1  0 1 0  0
2  1 0 0  0
3  0 0 1  1

What is left of each memory, as a share of its length at first:
t  s_0
0    1
1    1
2    1
3    1

EIGENVALUE     MODULUS  DEGREES  VERDICT  its part of the state
1                    1        0  keep     stays as it is
-0.5 + 0.866i        1      120  rotate   turns, and neither grows nor fades
-0.5 - 0.866i        1      120  rotate   turns, and neither grows nor fades

W: rotate; W^3 is the identity
"""
PATTERN = ("--W", "0 1 0; 0 0 1; 1 0 0", "--s0", "0 0 1", "--V", "0 0 1", "--steps", "3")


def test_the_pattern_of_the_lecture():
    assert run_inside("recurrence", *PATTERN) == (0, OUT, "")


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        ((), b"W = 0 1 0; 0 0 1; 1 0 0\ns0 = 0 0 1\nV: 0 0 1\n"),
        ((), b"# a shift\nW =\n0 1 0\n0 0 1  # the middle row\n1, 0, 0\n\ns0 = 0; 0; 1\nV = 0 0 1\n"),
        (PATTERN[2:6], b"W = 0 1 0; 0 0 1\n1 0 0\n"),
        (("--W", "-", *PATTERN[2:6]), b"0 1 0\n0 0 1\n1 0 0\n"),
    ],
)
def test_matrices_come_from_stdin_too(arguments, stdin):
    assert run_inside("recurrence", *arguments, "--steps", "3", stdin=stdin) == (0, OUT, "")


def test_inputs_have_columns_of_their_own():
    out = run_inside("recurrence", "--W", "-0.5", "--U", "2", "--x", "1 0 3", "--s0", "8", "--steps", "4").out
    assert [line.split() for line in out.splitlines()[:6]] == [
        ["t", "x_t", "s_t", "W^t", "s_0"],
        ["0", "1", "8", "8"],
        ["1", "0", "-2", "-4"],
        ["2", "3", "1", "2"],
        ["3", "5.5", "-1"],
        ["4", "-2.75", "0.5"],
    ]
    assert "-0.5            0.5      180  fade     is forgotten, changing its sign" in out


def test_json_has_every_number():
    done = run_inside("recurrence", "--W", "0.6 -0.8; 0.8 0.6", "--x", "1 0; 0 1", "--steps", "2", "--json")
    values = json.loads(done.out)
    assert values["states"] == [[0, 0], [1, 0], [0.6, 1.8]]
    assert values["inputs"][0] == {"t": 0, "x": [1, 0], "parts": [[0, 0], [1, 0], [0.6, 0.8]], "left": [None, 1, 1]}
    assert values["outputs"] is None
    assert values["start"]["left"] == [None] * 3
    assert values["eigenvalues"][0]["degrees"] == pytest.approx(53.1301)


def test_without_torch_and_without_waiting():
    code = "import sys; from seqcli.cli.app import main\ntry: main(sys.argv[1:])\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code, "recurrence", *PATTERN], capture_output=True, env=environment(), timeout=60
    )
    assert (done.returncode, done.stdout.decode()) == (0, OUT)


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "err"),
    [
        (("--W", "0 1; 1 a"), "", 2, "--W: 'a' is not a number. Rows of numbers, cut by ; as in '0 1; 1 0'."),
        (("--W", "0 1; 1"), "", 2, "--W: row 2 has 1 numbers, row 1 has 2"),
        (("--W", " ; "), "", 2, "--W is empty. Rows of numbers, cut by ; as in '0 1; 1 0'."),
        (("--W", "nan", "--s0", "1"), "", 2, "--W: 'nan' is not a number. Rows of numbers, cut by ; as in '0 1; 1 0'."),
        (("--W", "1", "--s0", "1", "--steps", "0"), "", 2, "--steps 0: must be 1 to 10,000"),
        (
            ("--W", "-", "--s0", "-"),
            "1\n",
            2,
            "only one matrix can come from stdin. Name them there: W = 0 1; 1 0, a line each.",
        ),
        (("--W", "1", "--s0", "1 2; 3 4"), "", 2, "--s0 is 2 x 2: a state is one row"),
        ((), "", 2, "no matrix W. Give --W '0 1; 1 0', or a line W = 0 1; 1 0 on stdin."),
        ((), "W = 1\nQ = 2\n", 65, "<stdin>:2: 'Q' is no matrix of the recurrence. Known: W, s0, V, U, x."),
        ((), "W = 1\nW = 2\n", 65, "<stdin>:2: W is given twice"),
        ((), "1 2\n", 65, "<stdin>:1: a row of no matrix. Begin with a name: W = 0 1; 1 0."),
        ((), "W = 1\n  x1\n", 65, "<stdin>:2: 'x1' is not a number. Rows of numbers, cut by ; as in '0 1; 1 0'."),
        (("--W", "1", "--s0", "1", "--plot", "out.gif"), "", 2, "--plot: out.gif is none of .png, .svg, .pdf"),
    ],
)
def test_bad_input(arguments, stdin, code, err):
    assert run_inside("recurrence", *arguments, stdin=stdin.encode()) == (code, "", f"error: {err}\n")


def test_the_picture_has_its_labels(tmp_path):
    file = tmp_path / "out.svg"
    done = run_inside("recurrence", *PATTERN, "--plot", str(file))
    assert (done.code, done.err) == (0, f"drawn in {file}\n")
    words = {one.text.strip() for one in ET.parse(file).iter("{http://www.w3.org/2000/svg}text")}
    assert {"state and output", "share left of each memory", "eigenvalues of W", "s[1]", "y", "s_0", "rotate"} <= words


@pytest.mark.parametrize("arguments", [("--W", "0", "--x", "0"), ("--s0", "1 " * 9, "--W", ("0 " * 9 + ";") * 9)])
def test_pictures_of_nothing_left_and_of_a_wide_state(tmp_path, arguments):
    file = tmp_path / "out.png"
    assert run_inside("recurrence", *arguments, "--plot", str(file)).code == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_help_names_the_equation():
    assert "s_{t+1} = W s_t + U x_t" in run_outside("recurrence", "--help").out
