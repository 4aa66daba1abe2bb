"""seqcli: one command line for sequence models, from a text file and a YAML recipe to a trained, measured model."""

__version__ = "0.1.0"
