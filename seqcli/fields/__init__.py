"""Fields: one side of an example, from a raw value to rows of numbers and back. Imports no torch."""
