"""The servers that the contenders download from, all on loopback: nginx, and a paced one of our own."""
