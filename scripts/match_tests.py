"""Every module has a test file that mirrors it, and every mirrored test file a module. Prints what is missing."""

import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("kcp", "kcpshard", "kcpfront", "kcpsyncer")
# Tests of properties that no single module has; they mirror nothing.
CROSSING = ("contracts", "differential", "golden", "model", "robustness", "scenario")
# Modules without a test file of their own, each with the reason. An entry that is not needed is an error too.
EXCEPTIONS = {
    "kcp/__main__.py": "a table of commands; every test of a command goes through it",
}
GENERATED = ("_pb2.py", "_pb2_grpc.py")


def main() -> int:
    root = Path(__file__).parent.parent
    faults = [*missing_tests(root), *orphaned_tests(root), *needless_exceptions(root)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def modules(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if path.name != "__init__.py" and not path.name.endswith(GENERATED):
                yield path.relative_to(root)


def mirror(module: Path) -> Path:
    return Path("tests") / module.with_name(f"test_{module.name.strip('_')}")


def missing_tests(root: Path) -> Iterator[str]:
    for module in modules(root):
        if not (root / mirror(module)).exists() and str(module) not in EXCEPTIONS and not holds_no_code(root / module):
            yield f"{module} has no {mirror(module)}"


def orphaned_tests(root: Path) -> Iterator[str]:
    known = {mirror(module) for module in modules(root)}
    for path in sorted((root / "tests").rglob("test_*.py")):
        relative = path.relative_to(root)
        if relative.parts[1] in PACKAGES and relative not in known:
            yield f"{relative} mirrors no module"


def needless_exceptions(root: Path) -> Iterator[str]:
    for name in EXCEPTIONS:
        if not (root / name).exists() or (root / mirror(Path(name))).exists():
            yield f"the exception for {name} is not needed"


def holds_no_code(path: Path) -> bool:
    """Contracts: signatures and prose."""
    return path.name == "contract.py"


if __name__ == "__main__":
    sys.exit(main())
