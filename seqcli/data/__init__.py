"""Corpora: readers by format, the catalogue of data sets, statistics and lint. Imports no torch."""
