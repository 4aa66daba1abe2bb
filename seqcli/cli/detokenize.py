"""``seqcli detokenize``: lines of tokens in, lines of text out."""

from __future__ import annotations

from seqcli.cli.tokenize import Errors, File, Joiner, Kind, MaxLine, Model, stream
from seqcli.errors import data_error
from seqcli.lines import DEFAULT_MAX_LINE
from seqcli.text.tokenizers import build_tokenizer

EPILOG = """\b
Examples:
  echo "Angela 's friend did n't pay ." | seqcli detokenize
  seqcli tokenize -k bytes notes.txt | seqcli detokenize -k bytes"""


def command(
    file: File = None,
    kind: Kind = "words",
    model: Model = None,
    joiner: Joiner = False,
    errors: Errors = "strict",
    max_line: MaxLine = DEFAULT_MAX_LINE,
) -> None:
    """Put tokens back together into text.

    One line out for each line in. Exact for characters, bytes, and whatever was tokenized with --joiner; words
    without --joiner get the spacing of English print. Bytes that are no UTF-8 become U+FFFD.
    """
    tokenizer = build_tokenizer(kind, model, joiner=joiner)

    def detokenize(line: str) -> str:
        text = tokenizer.detokenize(line.split())
        if "\n" not in text:
            return text
        if errors == "strict":  # a model may write any byte; one line in must stay one line out
            raise data_error("the tokens spell a line end", hint="Go on with --errors replace: it becomes a space.")
        return text.replace("\n", " ")

    stream(file, detokenize, errors, max_line)
