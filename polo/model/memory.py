"""What a process does with memory that it frees. Knows the C library; knows no tensors.

A step on a CPU makes tensors of some megabytes and frees them. glibc gives such memory back to the system each time,
and each time the system hands it out anew, page by page, each cleared: of small models up to a fifth of a step.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: numbers of <malloc.h>, and what glibc itself comes to at the most where larger and larger pieces are freed
_TRIM, _MMAP, _MOST = -1, -3, 32 << 20
#: bytes at the end of the heap that are kept
KEPT: Final = 1 << 30


@contextmanager
def kept_memory(device: str) -> Iterator[None]:
    """Inside the block, what is freed in pieces of up to 32 MiB stays with the process, up to 1 GiB; then it is given
    back. Nothing changes where tensors are made elsewhere than on the CPU, or the C library is not glibc.

    Example:
        >>> with kept_memory("cpu"):
        ...     len(bytearray(1 << 20))
        1048576
    """
    library = ctypes.CDLL(None) if device == "cpu" and sys.platform == "linux" else None
    if library is None or not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(_MMAP, _MOST)
    library.mallopt(_TRIM, KEPT)
    try:
        yield
    finally:
        library.mallopt(_TRIM, 2 * _MOST)
        library.malloc_trim(0)
