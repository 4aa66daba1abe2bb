"""Tasks: one file a task kind. A task joins two fields, a network and a way to read the network's outputs."""
