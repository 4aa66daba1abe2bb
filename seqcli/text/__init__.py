"""Text: tokenizers and the vocabulary. Imports no torch."""
