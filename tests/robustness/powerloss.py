"""Power loss: build the preloaded shim, and after a kill cut every file to the length that its last sync covered."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def build(directory: Path, name: str = "powerloss") -> Path:
    """The shim as a shared object, by whichever C compiler there is."""
    target = directory / f"{name}.so"
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        raise RuntimeError("the power-loss test needs a C compiler (cc, gcc or clang)")
    source = str(HERE / f"{name}.c")
    subprocess.run([compiler, "-O1", "-fPIC", "-shared", "-o", str(target), source, "-ldl"], check=True)
    return target


def environment(shim: Path, journal: Path, deaf: bool = False) -> dict[str, str]:
    found = {**os.environ, "LD_PRELOAD": str(shim), "POWERLOSS_JOURNAL": str(journal)}
    return found | {"POWERLOSS_DEAF": "1"} if deaf else found


def synced_lengths(journal: Path) -> dict[str, int]:
    lengths: dict[str, int] = {}
    for line in journal.read_text().splitlines():
        verb, _, rest = line.partition(" ")
        if verb == "sync":
            length, _, path = rest.partition(" ")
            lengths[path] = max(int(length), lengths.get(path, 0))  # two threads' notes may cross
        elif verb == "move":
            source, _, target = rest.partition("\t")
            if source in lengths:
                lengths[target] = lengths.pop(source)
    return lengths


def cut_power(directory: Path, journal: Path) -> int:
    """Truncate each file below `directory` to its synced length; returns how many bytes went."""
    lengths, lost = synced_lengths(journal), 0
    for path in sorted(directory.resolve().rglob("*")):
        if path.is_file() and not path.is_symlink():
            size, safe = path.stat().st_size, lengths.get(str(path), 0)
            if size > safe:
                os.truncate(path, safe)
                lost += size - safe
    return lost
