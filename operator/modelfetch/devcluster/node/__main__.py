"""`python -m modelfetch.devcluster.node` runs the process node."""

from modelfetch.devcluster.node.main import main

main()
