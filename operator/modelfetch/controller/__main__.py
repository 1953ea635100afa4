"""`python -m modelfetch.controller` is `modelfetch-operator`."""

from modelfetch.controller.main import main

main()
