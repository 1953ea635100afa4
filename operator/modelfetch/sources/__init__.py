"""The hubs and servers that models come from, one module each."""
