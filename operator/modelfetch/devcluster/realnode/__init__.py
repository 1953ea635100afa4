"""A real node for the embedded control plane: containerd, runc, kubelet and scheduler, for `make e2e`.

    __main__.py      `python -m modelfetch.devcluster.realnode COMMAND…`: prepares, then runs COMMAND in an enclosure
    requirements.py  whether this machine can have a real node, and if not, why
    enclosure.py     namespaces of its own, with init.py as their first process: when it ends, nothing is left
    prepare.py       programs and images, into the cache folder
    node.py          the node itself, started and ended inside the enclosure, piece by piece

The process node (devcluster/node/) needs no root and no packages; this one shows what a kernel and a kubelet do.
"""
