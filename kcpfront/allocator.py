"""How the C allocator treats the 256 kB read buffer that uvloop gives every TLS connection.

Of such a buffer one page is ever used. Mapped by itself it costs that page; taken from the heap, as glibc does once a
buffer of that size has been freed, it lies on pages that something else has used, and an idle watch holds 47 kB
instead of 26.
"""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_READ_BUFFER_BYTES = 256 * 1024
# Fixing one limit fixes the other at 128 kB, and each list would give memory back to the system and ask for it again.
_KEPT_BYTES = 64 << 20


def map_large_buffers() -> bool:
    """Whether the allocator has such a setting (glibc's has)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _READ_BUFFER_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
