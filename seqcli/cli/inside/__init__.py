"""What ``inspect`` shows: one file a view, each a table, JSON and a picture of what `seqcli.inspect` computed."""
