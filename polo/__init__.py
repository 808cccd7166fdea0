"""polo: preference optimisation for LLM-based recommenders.

The public names of this package are what a plugin author imports. They are loaded when they are first used, so that
``import polo`` costs next to nothing and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: functions of a notebook; those that bear the name of a room are the room, which can be called (polo.called)
_DOOR = {
    "evaluate": "polo.evaluate",
    "load": "polo.door.calls",
    "recommend": "polo.door.calls",
    "run": "polo.run",
}
_PUBLIC = {
    "Advises": "polo.protocols",
    "AfterStep": "polo.protocols",
    "Applies": "polo.protocols",
    "Asks": "polo.protocols",
    "AtZero": "polo.protocols",
    "Audit": "polo.protocols",
    "Audited": "polo.protocols",
    "Average": "polo.protocols",
    "Base": "polo.protocols",
    "Based": "polo.protocols",
    "Baseline": "polo.protocols",
    "BeforeStep": "polo.protocols",
    "Begins": "polo.protocols",
    "Beta": "polo.protocols",
    "BoolArray": "polo.lists",
    "Choice": "polo.context",
    "Chooses": "polo.protocols",
    "Component": "polo.plugin.component",
    "Concludes": "polo.protocols",
    "Context": "polo.context",
    "DataSource": "polo.protocols",
    "DeclaresUnit": "polo.protocols",
    "Draw": "polo.scores",
    "Drawing": "polo.protocols",
    "Drawn": "polo.protocols",
    "DrawsItems": "polo.protocols",
    "Embeds": "polo.protocols",
    "Encoder": "polo.protocols",
    "Evaluator": "polo.protocols",
    "ExtraLoss": "polo.protocols",
    "FillsParts": "polo.protocols",
    "Finder": "polo.protocols",
    "Finding": "polo.protocols",
    "FindsBest": "polo.protocols",
    "FindsPlaces": "polo.protocols",
    "Fits": "polo.protocols",
    "FloatArray": "polo.data",
    "Foresees": "polo.protocols",
    "HasFacts": "polo.protocols",
    "Generates": "polo.protocols",
    "Gift": "polo.protocols",
    "Giving": "polo.protocols",
    "Grouped": "polo.protocols",
    "InForward": "polo.protocols",
    "InParts": "polo.protocols",
    "InputError": "polo.errors",
    "IntArray": "polo.lists",
    "ItemTable": "polo.data",
    "Known": "polo.lists",
    "KnownOnDisk": "polo.lazy",
    "Labelled": "polo.protocols",
    "Launcher": "polo.protocols",
    "Limited": "polo.protocols",
    "LazyRows": "polo.lazy",
    "LooksNoFurther": "polo.protocols",
    "Loss": "polo.protocols",
    "NamedBase": "polo.protocols",
    "Need": "polo.protocols",
    "Needing": "polo.protocols",
    "Optimiser": "polo.protocols",
    "OwnTexts": "polo.texts",
    "PAD": "polo.data",
    "PLUGIN_API": "polo.plugin.component",
    "OfLists": "polo.protocols",
    "OnHost": "polo.protocols",
    "Packed": "polo.protocols",
    "Packs": "polo.protocols",
    "ParamGroup": "polo.protocols",
    "Peek": "polo.protocols",
    "PeekDraw": "polo.protocols",
    "PeekTop": "polo.protocols",
    "Peers": "polo.protocols",
    "Placed": "polo.protocols",
    "PlacesItems": "polo.protocols",
    "Policy": "polo.protocols",
    "PoloError": "polo.errors",
    "Program": "polo.plugin.component",
    "Ranked": "polo.protocols",
    "Ref": "polo.plugin.component",
    "Ragged": "polo.lists",
    "Whole": "polo.lists",
    "Work": "polo.protocols",
    "ReadsOwnTexts": "polo.protocols",
    "Refresh": "polo.protocols",
    "RanksAll": "polo.protocols",
    "Reports": "polo.protocols",
    "Rescores": "polo.protocols",
    "RowRandom": "polo.randomness",
    "Rows": "polo.data",
    "Said": "polo.texts",
    "Sampler": "polo.protocols",
    "SamplerWrapper": "polo.plugin.wrapping",
    "Scorer": "polo.protocols",
    "Scores": "polo.scores",
    "ScoresMany": "polo.protocols",
    "Sequences": "polo.data",
    "SharesForwards": "polo.protocols",
    "Shortens": "polo.protocols",
    "Spells": "polo.protocols",
    "Splits": "polo.data",
    "Stateful": "polo.protocols",
    "Together": "polo.protocols",
    "Top": "polo.protocols",
    "TopItems": "polo.protocols",
    "Totals": "polo.protocols",
    "Tracker": "polo.protocols",
    "Trouble": "polo.protocols",
    "Vectors": "polo.protocols",
    "Writes": "polo.protocols",
    "best_columns": "polo.best",
    "draw_distinct": "polo.distinct",
    "Wanting": "polo.protocols",
    "hookimpl": "polo.plugin.hookspecs",
    "plain": "polo.texts",
    "seed_of": "polo.randomness",
    "sent": "polo.sending",
    "whole_file": "polo.store.files",
    "whole_folder": "polo.store.files",
}

__all__ = ["__version__", *_DOOR, *_PUBLIC]

if TYPE_CHECKING:
    from polo.best import best_columns as best_columns
    from polo.context import Choice as Choice
    from polo.context import Context as Context
    from polo.data import PAD as PAD
    from polo.data import FloatArray as FloatArray
    from polo.data import ItemTable as ItemTable
    from polo.data import Rows as Rows
    from polo.data import Sequences as Sequences
    from polo.data import Splits as Splits
    from polo.distinct import draw_distinct as draw_distinct
    from polo.door.calls import evaluate as evaluate
    from polo.door.calls import load as load
    from polo.door.calls import recommend as recommend
    from polo.door.calls import run as run
    from polo.errors import InputError as InputError
    from polo.errors import PoloError as PoloError
    from polo.lazy import KnownOnDisk as KnownOnDisk
    from polo.lazy import LazyRows as LazyRows
    from polo.lists import BoolArray as BoolArray
    from polo.lists import IntArray as IntArray
    from polo.lists import Known as Known
    from polo.lists import Ragged as Ragged
    from polo.lists import Whole as Whole
    from polo.plugin.component import PLUGIN_API as PLUGIN_API
    from polo.plugin.component import Component as Component
    from polo.plugin.component import Program as Program
    from polo.plugin.component import Ref as Ref
    from polo.plugin.hookspecs import hookimpl as hookimpl
    from polo.plugin.wrapping import SamplerWrapper as SamplerWrapper
    from polo.protocols import Advises as Advises
    from polo.protocols import AfterStep as AfterStep
    from polo.protocols import Applies as Applies
    from polo.protocols import Asks as Asks
    from polo.protocols import AtZero as AtZero
    from polo.protocols import Audit as Audit
    from polo.protocols import Audited as Audited
    from polo.protocols import Average as Average
    from polo.protocols import Base as Base
    from polo.protocols import Based as Based
    from polo.protocols import Baseline as Baseline
    from polo.protocols import BeforeStep as BeforeStep
    from polo.protocols import Begins as Begins
    from polo.protocols import Beta as Beta
    from polo.protocols import Chooses as Chooses
    from polo.protocols import Concludes as Concludes
    from polo.protocols import DataSource as DataSource
    from polo.protocols import DeclaresUnit as DeclaresUnit
    from polo.protocols import Drawing as Drawing
    from polo.protocols import Drawn as Drawn
    from polo.protocols import DrawsItems as DrawsItems
    from polo.protocols import Embeds as Embeds
    from polo.protocols import Encoder as Encoder
    from polo.protocols import Evaluator as Evaluator
    from polo.protocols import ExtraLoss as ExtraLoss
    from polo.protocols import FillsParts as FillsParts
    from polo.protocols import Finder as Finder
    from polo.protocols import Finding as Finding
    from polo.protocols import FindsBest as FindsBest
    from polo.protocols import FindsPlaces as FindsPlaces
    from polo.protocols import Fits as Fits
    from polo.protocols import Foresees as Foresees
    from polo.protocols import Generates as Generates
    from polo.protocols import Gift as Gift
    from polo.protocols import Giving as Giving
    from polo.protocols import Grouped as Grouped
    from polo.protocols import HasFacts as HasFacts
    from polo.protocols import InForward as InForward
    from polo.protocols import InParts as InParts
    from polo.protocols import Labelled as Labelled
    from polo.protocols import Launcher as Launcher
    from polo.protocols import Limited as Limited
    from polo.protocols import LooksNoFurther as LooksNoFurther
    from polo.protocols import Loss as Loss
    from polo.protocols import NamedBase as NamedBase
    from polo.protocols import Need as Need
    from polo.protocols import Needing as Needing
    from polo.protocols import OfLists as OfLists
    from polo.protocols import OnHost as OnHost
    from polo.protocols import Optimiser as Optimiser
    from polo.protocols import Packed as Packed
    from polo.protocols import Packs as Packs
    from polo.protocols import ParamGroup as ParamGroup
    from polo.protocols import Peek as Peek
    from polo.protocols import PeekDraw as PeekDraw
    from polo.protocols import PeekTop as PeekTop
    from polo.protocols import Peers as Peers
    from polo.protocols import Placed as Placed
    from polo.protocols import PlacesItems as PlacesItems
    from polo.protocols import Policy as Policy
    from polo.protocols import Ranked as Ranked
    from polo.protocols import RanksAll as RanksAll
    from polo.protocols import ReadsOwnTexts as ReadsOwnTexts
    from polo.protocols import Refresh as Refresh
    from polo.protocols import Reports as Reports
    from polo.protocols import Rescores as Rescores
    from polo.protocols import Sampler as Sampler
    from polo.protocols import Scorer as Scorer
    from polo.protocols import ScoresMany as ScoresMany
    from polo.protocols import SharesForwards as SharesForwards
    from polo.protocols import Shortens as Shortens
    from polo.protocols import Spells as Spells
    from polo.protocols import Stateful as Stateful
    from polo.protocols import Together as Together
    from polo.protocols import Top as Top
    from polo.protocols import TopItems as TopItems
    from polo.protocols import Totals as Totals
    from polo.protocols import Tracker as Tracker
    from polo.protocols import Trouble as Trouble
    from polo.protocols import Vectors as Vectors
    from polo.protocols import Wanting as Wanting
    from polo.protocols import Work as Work
    from polo.protocols import Writes as Writes
    from polo.randomness import RowRandom as RowRandom
    from polo.randomness import seed_of as seed_of
    from polo.scores import Draw as Draw
    from polo.scores import Scores as Scores
    from polo.sending import sent as sent
    from polo.store.files import whole_file as whole_file
    from polo.store.files import whole_folder as whole_folder
    from polo.texts import OwnTexts as OwnTexts
    from polo.texts import Said as Said
    from polo.texts import plain as plain


def __getattr__(name: str) -> Any:
    if name in _DOOR:
        found = importlib.import_module(_DOOR[name])
        return found if found.__name__ == f"polo.{name}" else getattr(found, name)
    try:
        module = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'polo' has no attribute {name!r}") from None
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
