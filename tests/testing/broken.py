"""Components that are broken in one way each: what shows that a check finds what it is there to find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from polo import Context, Splits
from polo.testing import small_splits
from polo.testing.subject import Subject


@dataclass(frozen=True)
class Broken:
    """A component that breaks one law.

    Args:
        build: makes it.
        also: laws that whoever breaks this one breaks too.
        splits: what it is shown.
    """

    build: Callable[[Context], Any]
    also: frozenset[str] = frozenset()
    splits: Splits = field(default_factory=small_splits)

    def subject(self, kind: str) -> Subject:
        return Subject(kind, self.build, splits=self.splits)


def broken(good: type[Any], also: str = "", splits: Splits | None = None, **members: Any) -> Broken:
    """A good component with some members replaced.

    Args:
        good: takes ``(options, context)``.
        also: as in :class:`Broken`, words with spaces between.
        splits: what it is shown.
        members: functions, and attributes of the class.
    """
    spoilt = type(f"Broken{good.__name__}", (good,), members)
    extra = {} if splits is None else {"splits": splits}
    return Broken(lambda context: spoilt(None, context), frozenset(also.split()), **extra)


Table = Mapping[str, Broken]
