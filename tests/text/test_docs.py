"""Every command of docs/text.md prints what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "train.txt": """\
The old captain didn't sell her boat.
Angela's friend paid Rs. 5,000.50 for the boat, OK?
The boat left Chennai at 6:30 a.m. and nobody waved.
Mohan waved to the captain from the bridge.
Nobody paid the old man on the bridge.
""",
    "test.txt": "The captain paid Angela.\nA bird waved from the boat.\n",
}


@pytest.mark.skipif(os.name != "posix", reason="the page is written for a POSIX shell")
def test_the_page_shows_what_the_commands_print(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    page = (ROOT / "docs" / "text.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    commands = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    shell = f'seqcli() {{ "{sys.executable}" -m seqcli "$@"; }}\n' + "".join(
        f"echo '$ '{_quoted(line)}\n{line}\n" for line in commands)
    done = subprocess.run(["bash", "-c", shell], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    printed = [line.rstrip() for line in done.stdout.decode().split("\n")]
    assert [line for line in printed if line] == [line for block in blocks for line in block.splitlines() if line]


def _quoted(line: str) -> str:
    return "'" + line.replace("'", "'\\''") + "'"
