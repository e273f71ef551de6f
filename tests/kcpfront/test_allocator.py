import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path
from kcpfront.allocator import map_large_buffers
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
{setting}
for _ in range(3):
    libc.free(libc.malloc(300_000))
heap = next(line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("[heap]"))
start, end = (int(part, 16) for part in heap.split()[0].split("-"))
made = [libc.malloc(256 * 1024) for _ in range(4)]
print(any(start <= address < end + 4 * 300_000 and address % 4096 != 16 for address in made))
"""


def run(setting: str) -> str:
    program = PROGRAM.format(setting=setting)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_read_buffers_are_mapped_by_themselves() -> None:
    assert run("assert map_large_buffers()") == "False"
    assert run("") == "True"  # what it is there for: without it they come from the heap
