import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
from kcpshard.allocator import keep_large_buffers
assert keep_large_buffers()
for _ in range(20):
    bytearray(600_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    bytearray(600_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_large_buffers_are_not_asked_of_the_kernel_again_and_again() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000  # mapped anew each time it would be 200 x 147
