"""Keeps other libraries' progress bars and notes to their own users away from ours. Knows their switches."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, transformers draws no progress bars and libraries' notes on their own future are not shown.

    Example:
        >>> with quiet():
        ...     logging.is_progress_bar_enabled()
        False
    """
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        if bars:
            logging.enable_progress_bar()
