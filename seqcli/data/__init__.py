"""Data: formats, corpora, the catalogue and its fetching, arrays on disk and their order, statistics and lint. Imports no torch."""
