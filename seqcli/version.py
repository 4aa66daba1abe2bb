"""The version of seqcli."""

__version__ = "0.1.0"
