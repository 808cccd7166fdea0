"""The fingerprint of an encoder: a hash of what it is called, its options and further facts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any


def print_of(name: str, options: Any, *facts: str) -> str:
    """32 hexadecimal digits over the name, the options (a dataclass or ``None``) and facts, such as an inner print.

    Example:
        >>> from polo_tfllmer.options import LSAOptions
        >>> print_of("lsa", LSAOptions()) == print_of("lsa", LSAOptions(k=8))
        False
    """
    said = json.dumps([name, options and asdict(options), *facts], sort_keys=True, default=str)
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()
