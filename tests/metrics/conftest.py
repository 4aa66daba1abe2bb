import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def mirror():
    """The folder of real data sets, or a skip."""
    for folder in (os.environ.get("SEQCLI_MIRROR"), ROOT.parent / "shared" / "data"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    pytest.skip("no real data: SEQCLI_MIRROR is not set")


class Shell:
    """Runs ``seqcli`` in a folder of its own; ``run`` gives (exit code, stdout, stderr)."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}

    def write(self, name, content):
        data = content if isinstance(content, bytes) else content.encode()
        (self.folder / name).write_bytes(data)
        return name

    def run(self, *arguments, stdin=b"", module="seqcli"):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            env=self.environment,
            timeout=60,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def out(self, *arguments, stdin=b""):
        """stdout of a command that ends well and has nothing to say on stderr."""
        code, out, err = self.run(*arguments, stdin=stdin)
        assert (code, err) == (0, "")
        return out

    def terminal(self, *arguments):
        """What a person sees on a terminal (stdout only)."""
        import pty

        master, slave = pty.openpty()
        environment = {**self.environment, "TERM": "xterm"}
        with subprocess.Popen(
            [sys.executable, "-m", "seqcli", *arguments],
            cwd=self.folder,
            stdout=slave,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment,
        ) as process:
            os.close(slave)
            parts = []
            while True:
                try:
                    part = os.read(master, 65536)
                except OSError:  # the other end of the terminal is closed
                    break
                if not part:
                    break
                parts.append(part)
            errors = process.stderr.read().decode()
        os.close(master)
        assert (process.returncode, errors) == (0, "")
        return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)
