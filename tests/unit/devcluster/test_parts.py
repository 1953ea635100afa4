"""Which parts go together."""

import pytest

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.parts import ONLY_CONTROL_PLANE, Parts


def test_operator_without_its_kinds_is_refused() -> None:
    """An operator cannot run without the CRDs and the rights that the manifests bring."""
    with pytest.raises(ClusterFailure, match="the operator needs the manifests"):
        Parts(manifests=False)


@pytest.mark.parametrize(("parts", "namespace"), [(Parts(), "demo"), (ONLY_CONTROL_PLANE, "default")])
def test_namespace_is_one_that_exists(parts: Parts, namespace: str) -> None:
    """kubectl without -n means the workspace's namespace, where there is one."""

    assert namespace == parts.namespace
