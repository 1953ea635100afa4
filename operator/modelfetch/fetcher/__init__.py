"""The program of a fetch Pod: resolve, plan, transfer, verify, publish."""
