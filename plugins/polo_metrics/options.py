"""Options of the evaluators. Imports no array library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Len


@dataclass(frozen=True, kw_only=True)
class AtK:
    """Cut-offs of a ranking metric."""

    #: lengths of the top of the list; each gives a metric of its own
    k: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (1, 5, 10)
