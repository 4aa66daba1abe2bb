"""Tasks: one file a task kind, each with encode, loss, predict and format."""
