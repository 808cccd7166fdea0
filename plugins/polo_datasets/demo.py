"""The demo data source: the generated world, split leave-last-out. Reads no file."""

from __future__ import annotations

import numpy as np

from polo import Context, InputError, RowRandom, Splits
from polo_datasets.building import finish, leave_last_out
from polo_datasets.demo_world import World, make_items, make_sequences
from polo_datasets.options import DemoOptions


class Demo:
    """The data source ``demo``: invented artists, drifting tastes, a known best possible score.

    Each user's last artist is the test target, the one before it the validation target, the rest is training.
    """

    def __init__(self, options: DemoOptions, context: Context) -> None:
        self.options, self.context = options, context

    def load(self) -> Splits:
        """Generates the world; the same options give the same world.

        Raises:
            InputError: ``longest`` is below ``shortest``.
        """
        options = self.options
        span = options.longest - options.shortest + 1
        if span < 1:
            raise InputError(
                f"longest ({options.longest}) is below shortest ({options.shortest})", where="data.longest"
            )
        items = make_items(options.items, options.seed)
        u = RowRandom(options.seed, "demo lengths").uniform(np.arange(options.users), 1)[:, 0]
        lengths = (options.shortest + (u * span).astype(np.int64)).tolist()
        sequences = make_sequences(World.of(items), lengths, options.seed)
        return finish(
            leave_last_out(sequences, options.history, options.min_history),
            name="demo",
            form="leave_last_out",
            items=items,
            licence="generated; no rights reserved",
            notes={},
            where="data",
        )
