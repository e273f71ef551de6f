from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kcp.__main__ import main


def definition(path: Path, **fields: str) -> Path:
    properties = {name: {"type": kind} for name, kind in fields.items()}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "sizes", "kind": "Size"}
    document = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sizes.example.dev"},
        "spec": {"group": "example.dev", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "new": definition(tmp_path / "new.yaml", a="string", b="string"),
        "old": definition(tmp_path / "old.yaml", a="string"),
        "other": definition(tmp_path / "other.yaml", a="boolean"),
    }


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["compat", *map(str, arguments)])


def test_more_fields_are_compatible(files: dict[str, Path]) -> None:
    done = run(files["old"], files["new"])
    assert done.exit_code == 0 and done.output == ""


def test_fewer_fields_are_not(files: dict[str, Path]) -> None:
    done = run(files["new"], files["old"])
    assert done.exit_code == 1
    assert "Size.properties[spec].properties: properties have been removed in an incompatible way: [b]" in done.stderr


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_the_lcd(files: dict[str, Path], form: str) -> None:
    done = run(files["new"], files["old"], "--lcd", "-o", form)
    assert done.exit_code == 0
    made = yaml.safe_load(done.stdout)
    schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["spec"]["properties"] == {"a": {"type": "string"}}


def test_there_is_no_lcd(files: dict[str, Path]) -> None:
    done = run(files["new"], files["other"], "--lcd")
    assert done.exit_code == 1 and done.stdout == ""
    assert f"{files['other']} blocks: Size.properties[spec].properties[a]: type changed" in done.stderr


def test_stored_objects_that_would_not_survive(files: dict[str, Path], tmp_path: Path) -> None:
    objects = tmp_path / "objects.yaml"
    kept = {"metadata": {"name": "kept"}, "spec": {"a": "x"}}
    hurt = {"metadata": {"name": "hurt", "namespace": "shop"}, "spec": {"b": "x"}}
    objects.write_text(yaml.safe_dump({"kind": "List", "items": [kept, hurt]}))
    done = run(files["new"], files["old"], "--lcd", "--objects", objects)
    assert done.exit_code == 0
    assert "shop/hurt loses spec.b" in done.stderr and "kept" not in done.stderr


def test_a_version_that_is_gone_blocks(files: dict[str, Path], tmp_path: Path) -> None:
    document = yaml.safe_load(files["old"].read_text())
    document["spec"]["versions"][0]["name"] = "v2"
    (tmp_path / "v2.yaml").write_text(yaml.safe_dump(document))
    done = run(files["old"], tmp_path / "v2.yaml", "--lcd")
    assert done.exit_code == 1 and "allows nothing" in done.stderr


@pytest.mark.parametrize("text", ["a: [", "kind: ConfigMap"])
def test_what_is_no_definition(files: dict[str, Path], tmp_path: Path, text: str) -> None:
    path = tmp_path / "strange.yaml"
    path.write_text(text)
    done = run(files["old"], path)
    assert done.exit_code == 1 and str(path) in done.stderr
