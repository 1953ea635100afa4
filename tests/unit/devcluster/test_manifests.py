"""Manifests are read from folders of YAML files in the order in which they can be applied."""

from pathlib import Path

import pytest

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.manifests import REPOSITORY, read_manifests


def test_kinds_and_namespaces_come_first(tmp_path: Path) -> None:
    """CRDs are applied before namespaces, those before the rest, whose order stays; empty documents are none."""
    (tmp_path / "a.yaml").write_text("kind: Role\n---\n---\nkind: Namespace\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b.yml").write_text("kind: Binding\n---\nkind: CustomResourceDefinition\n")
    kinds = [item["kind"] for item in read_manifests([tmp_path])]

    assert ["CustomResourceDefinition", "Namespace", "Role", "Binding"] == kinds


def test_folder_without_manifests_is_named(tmp_path: Path) -> None:
    """An installation without crds/ and deploy/ is told what to do."""
    with pytest.raises(ClusterFailure, match="no manifest: run from a checkout"):
        read_manifests([tmp_path / "crds"])


def test_repository_is_where_the_manifests_are() -> None:
    """The embedded cluster finds the CRDs and the RBAC that users apply."""
    kinds = {item["kind"] for item in read_manifests([REPOSITORY / "crds", REPOSITORY / "deploy"])}

    assert {"CustomResourceDefinition", "ClusterRole", "ServiceAccount", "Namespace"} <= kinds
