"""What a scalar without quotes means: the YAML 1.2 core schema (yaml.org/spec/1.2.2, section 10.3.2).

Knows one text at a time; knows no document.
"""

from __future__ import annotations

import re
from typing import Final

from polo.recipe.node import Scalar

#: more digits than any number in a recipe needs, and fewer than Python refuses to convert (4300)
MAX_DIGITS: Final = 400

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")


def scalar(text: str) -> Scalar:
    """The value of a scalar without quotes in the YAML 1.2 core schema.

    Raises:
        ValueError: a number that cannot be kept.

    Example:
        >>> [scalar(text) for text in ("1e-5", "no", "3:20", "0o17", "~", "-.inf", "True")]
        [1e-05, 'no', '3:20', 15, None, -inf, True]
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text.lower() == "true"
    number = _INT.fullmatch(text) or _OCTAL.fullmatch(text) or _HEX.fullmatch(text) or _FLOAT.fullmatch(text)
    if number and len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ValueError("a number too large for a float (write .inf if you mean infinity)")
        return value
    if match := _INF.fullmatch(text):
        return float(f"{match[1]}inf")
    if _NAN.fullmatch(text):
        raise ValueError("'.nan' is not a number")
    return text
