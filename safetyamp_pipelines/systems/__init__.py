"""One place for each outside system: the clients, the stores. What a record means is decided in `sync/`."""
