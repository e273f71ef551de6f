from pathlib import Path

import pytest

from kcpshard.schema.structural_faults import faults
from kcpsyncer.definitions import CLUSTERS, definitions


def test_clusters_come_first() -> None:
    assert definitions()[0]["metadata"]["name"] == CLUSTERS


@pytest.mark.parametrize("number", range(5))
def test_each_is_structural_and_of_the_category(number: int) -> None:
    made = definitions()[number]
    spec = made["spec"]
    assert made["metadata"]["name"] == f"{spec['names']['plural']}.{spec['group']}"
    assert spec["names"]["categories"] == ["kcp"]
    assert spec["scope"] == ("Namespaced" if spec["names"]["kind"] == "PlacementPolicy" else "Cluster")
    assert faults(spec["versions"][0]["schema"]["openAPIV3Schema"], "schema") == []
    if spec["group"] != "placement.kcp.dev":  # the prototype shows them with -o wide only
        assert all(column["priority"] > 0 for column in spec["versions"][0]["additionalPrinterColumns"])


def test_the_manifests_are_the_same_files() -> None:
    root = Path(__file__).parents[2]
    for path in (root / "config").iterdir():
        assert path.resolve() == root / "kcpsyncer" / "data" / path.name
