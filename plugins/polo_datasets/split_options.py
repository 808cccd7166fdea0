"""Options of how events become three parts. Holds types, bounds and defaults; imports no array library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from polo import InputError


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How events of users are filtered, and put into training, validation and test."""

    #: shown history at most; 0 where the order of a user's items means nothing
    history: Annotated[int, Ge(0)] = 10
    #: rows with a shorter history are dropped
    min_history: Annotated[int, Ge(0)] = 3
    #: ``leave_last_out``: each user's last item is test, the one before it validation;
    #: ``by_user``: users are drawn 8:1:1;
    #: ``by_time``: one cut in time for all users before the last ``test_share`` of events, one before ``valid_share``
    #: more, so that nothing that happened later trains the model;
    #: ``ratio``: events are drawn
    split: Literal["leave_last_out", "by_user", "by_time", "ratio"] = "leave_last_out"
    #: seed of the draw of users or events
    seed: Annotated[int, Ge(0)] = 0
    #: by_time, ratio: share of the events that are validation
    valid_share: Annotated[float, Gt(0), Lt(1)] = 0.1
    #: by_time, ratio: share of the events that are test
    test_share: Annotated[float, Gt(0), Lt(1)] = 0.1
    #: ratio: shares of each user's events, rounded up (one stays in training), or of all events
    share_of: Literal["user", "all"] = "user"
    #: by_time, ratio, given files: all held-out items of a user are one row; else each is a row of its own, with those
    #: before it shown
    sets: bool = False
    #: only users and items with at least this many events are kept, again and again until it holds of all (k-core)
    k_core: Annotated[int, Ge(1)] = 1
    #: only events with at least this rating are kept, before the k-core is taken
    min_rating: float | None = None

    def __post_init__(self) -> None:
        if self.valid_share + self.test_share >= 1:
            said = f"valid_share {self.valid_share:g} and test_share {self.test_share:g} leave nothing for training"
            raise InputError(said, fix="give shares that add up to less than 1")
