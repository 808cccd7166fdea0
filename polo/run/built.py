"""What is said of a component when it is built. Knows declarations and clocks, not what is built."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from polo.context import Choice
from polo.plugin.catalogue import Catalogue
from polo.recipe.dump import flow
from polo.recipe.plain import to_plain


@contextmanager
def built(catalogue: Catalogue, choice: Choice, say: Callable[[str], None]) -> Iterator[None]:
    """Says whose the component is that the block builds, with which options, and how long that took.

    What it builds of others is told before, since they are ready first.
    """
    began = time.monotonic()
    yield
    entry = catalogue.find(choice.kind, choice.qualified or choice.name)
    options = "" if choice.options is None else f" {flow(to_plain(choice.options))}"
    took = time.monotonic() - began
    say(f"{choice.kind}/{choice.name} of {entry.record.label}: {entry.component.build}{options}, built in {took:.3f} s")
