"""The operator: watches only enqueue; each key is observed, decided and applied."""
