"""`python -m modelfetch.fetcher` is the command `modelfetch-fetcher`."""

from modelfetch.fetcher.main import main

main()
