"""A real control plane, a node made of processes and a hub of its own, for `make demo`, `make up` and the tests."""
