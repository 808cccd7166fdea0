"""The laws of each kind of component: a module for each kind, named after it, with ``LAWS`` in the order of telling.

A law is a function of a :class:`~polo.testing.subject.Subject` that raises an ``AssertionError`` where it is broken;
its name is the name of the check, the first line of its docstring what is told. A kind without a module here has the
laws of its declaration alone. To give a kind laws, add its module.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence

from polo.plugin.component import KINDS
from polo.testing.subject import Subject

Law = Callable[[Subject], None]


def laws_of(kind: str) -> Sequence[Law]:
    """The laws that every component of a kind keeps, those of its declaration first.

    Example:
        >>> [law.__name__ for law in laws_of("tracker")][:2]
        ['says_what_it_is', 'options_are_frozen']
    """
    from polo.testing.laws.declaration import LAWS, builds

    assert kind in KINDS, f"no kind of component is called {kind!r}"
    name = f"{__name__}.{kind}"
    own: Sequence[Law] = importlib.import_module(name).LAWS if importlib.util.find_spec(name) else ()
    return [*LAWS, builds, *own]
