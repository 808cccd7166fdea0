"""The one place that imports bitsandbytes, which asks a hub for code of its own while it is imported. Knows how not to.

On a CPU with bfloat16 instructions bitsandbytes fetches a kernel from the hub and executes it, where the package
``kernels`` is installed, and warns where it is not. polo multiplies with dequantised weights and never uses it.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

#: what fetches code; None makes Python say that there is no such module
_FETCHES = "kernels"


def bitsandbytes() -> Any:
    """The library.

    Raises:
        ImportError: it is not installed.
    """
    if "bitsandbytes" in sys.modules:
        return sys.modules["bitsandbytes"]
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    there, level = sys.modules.get(_FETCHES), logger.level
    sys.modules[_FETCHES] = None  # type: ignore[assignment] # what Python's import statement knows as "not to be had"
    logger.setLevel(logging.ERROR)
    try:
        return importlib.import_module("bitsandbytes")
    finally:
        logger.setLevel(level)
        del sys.modules[_FETCHES]
        if there is not None:
            sys.modules[_FETCHES] = there
