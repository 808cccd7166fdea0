"""Options of the source ``preferences``. Holds types, bounds and defaults; reads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt, MinLen


@dataclass(frozen=True, kw_only=True)
class PreferencesOptions:
    """Preference data from files: .jsonl, .json (a list), .parquet, each also as .gz, or a folder that ``datasets``
    saved. Which form a file has is told by the columns of its first record:

    - ``prompt, chosen, rejected``: texts or conversations, TRL's explicit prompt; ``rejected`` may be a list of several
    - ``chosen, rejected``: TRL's implicit prompt, which is what all of them begin with
    - ``prompt, completion, label``: TRL's unpaired form; the good and bad completions of one prompt are put together
    - ``prompt, completion``: good answers alone, for supervised stages
    - ``instruction, input, output``: ``output`` is a text, or a list of the chosen answer and then the rejected ones
    """

    #: training rows: a path, looked for as it is and then under $POLO_DATA
    train: Annotated[str, MinLen(1)]
    #: validation rows; if not given, prompts are drawn from the training file
    valid: str | None = None
    #: test rows, likewise
    test: str | None = None
    #: share of the prompts that each split without a file is drawn
    held_out: Annotated[float, Ge(0), Lt(0.5)] = 0.1
    #: seed of that draw
    seed: Annotated[int, Ge(0)] = 0
    #: short name of the data, part of the protocol
    name: str = "preferences"
    #: terms of use in one line
    licence: str = ""
    #: rows with a fault (an empty text, a rejected answer that is the chosen one, no chosen one): ``refuse`` stops and
    #: names file and lines, ``drop`` leaves them out and counts them
    bad_rows: Literal["refuse", "drop"] = "refuse"
    #: for good answers that are rankings written with this between their parts: a row without a rejected answer gets
    #: the parts in reverse order as one
    reverse: Annotated[str, MinLen(1)] | None = None
