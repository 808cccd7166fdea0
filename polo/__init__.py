"""polo: preference optimisation for LLM-based recommenders.

The public names of this package are what a plugin author imports. They are loaded when they are first used, so that
``import polo`` costs next to nothing and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: version of the plugin contracts; raised when a contract changes in a way that breaks plugins
PLUGIN_API = 1

_PUBLIC = {
    "Audited": "polo.protocols",
    "Choice": "polo.plugin.component",
    "Component": "polo.plugin.component",
    "Context": "polo.plugin.component",
    "Draw": "polo.scores",
    "Finding": "polo.protocols",
    "InputError": "polo.errors",
    "ItemTable": "polo.data",
    "Known": "polo.data",
    "PAD": "polo.data",
    "PoloError": "polo.errors",
    "Ranked": "polo.protocols",
    "Ref": "polo.plugin.component",
    "RowRandom": "polo.randomness",
    "Rows": "polo.data",
    "SamplerWrapper": "polo.plugin.wrapping",
    "Scores": "polo.scores",
    "Sequences": "polo.data",
    "Splits": "polo.data",
    "draw_distinct": "polo.candidates",
    "hookimpl": "polo.plugin.hookspecs",
    "seed_of": "polo.randomness",
}

__all__ = ["PLUGIN_API", "__version__", *_PUBLIC]

if TYPE_CHECKING:
    from polo.candidates import draw_distinct as draw_distinct
    from polo.data import PAD as PAD
    from polo.data import ItemTable as ItemTable
    from polo.data import Known as Known
    from polo.data import Rows as Rows
    from polo.data import Sequences as Sequences
    from polo.data import Splits as Splits
    from polo.errors import InputError as InputError
    from polo.errors import PoloError as PoloError
    from polo.plugin.component import Choice as Choice
    from polo.plugin.component import Component as Component
    from polo.plugin.component import Context as Context
    from polo.plugin.component import Ref as Ref
    from polo.plugin.hookspecs import hookimpl as hookimpl
    from polo.plugin.wrapping import SamplerWrapper as SamplerWrapper
    from polo.protocols import Audited as Audited
    from polo.protocols import Finding as Finding
    from polo.protocols import Ranked as Ranked
    from polo.randomness import RowRandom as RowRandom
    from polo.randomness import seed_of as seed_of
    from polo.scores import Draw as Draw
    from polo.scores import Scores as Scores


def __getattr__(name: str) -> Any:
    try:
        module = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'polo' has no attribute {name!r}") from None
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
