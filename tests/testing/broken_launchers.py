"""Launchers that break one law each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from polo import Context, Work
from polo.run.processes import Local, LocalOptions
from tests.testing.broken import Table, broken


class Good(Local):
    def __init__(self, options: None, context: Context) -> None:
        super().__init__(LocalOptions(), context)


def _one_too_many(self: Any, work: Work) -> int:
    return Local.launch(self, replace(work, processes=work.processes + 1))


LAUNCHERS: Table = {
    "every_process_knows_its_place": broken(Good, launch=_one_too_many),
    "a_failure_gives_its_code": broken(Good, launch=lambda self, work: min(1, Local.launch(self, work))),
}
