"""Photographs, recordings and clips: from a file to an array of numbers. Imports no torch."""
