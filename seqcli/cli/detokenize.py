"""The verb ``detokenize``."""

from __future__ import annotations

from seqcli.cli.options import File, Reading, examples, grouped
from seqcli.cli.tokenize import TokenizerOptions, stream
from seqcli.errors import data_error

EPILOG = examples(
    """echo "Angela 's friend did n't pay ." | seqcli detokenize""",
    "seqcli tokenize -k bytes notes.txt | seqcli detokenize -k bytes",
)


@grouped
def command(*, file: File = None, tokenizer: TokenizerOptions, reading: Reading) -> None:
    """Put tokens back together into text.

    One line out for each line in. Exact for characters, bytes, and whatever was tokenized with --joiner; words
    without --joiner get the spacing of English print. Bytes that are no UTF-8 become U+FFFD.
    """
    built = tokenizer.build()

    def detokenize(line: str) -> str:
        text = built.detokenize(line.split())
        if "\n" in text and reading.invalid == "strict":  # a model may write any byte; one line in stays one line out
            raise data_error("the tokens spell a line end", hint="Go on with --invalid replace: it becomes a space.")
        return text.replace("\n", " ")

    stream(file, detokenize, reading)
