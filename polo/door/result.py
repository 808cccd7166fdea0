"""What a run gives back to Python: its figures, its folder, and the model, which is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polo.console import Console
from polo.report.closing import Closing, closing

if TYPE_CHECKING:
    from polo.data import Splits
    from polo.protocols import Policy
    from polo.run.recommending import Recommender


class Result:
    """A finished run.

    Args:
        folder: of the run.
        results: what ``results.json`` holds.
        plugins: local plugin files that using its model needs.
        trusted: whether files and programs that the run names may be executed.
        quiet: say nothing but warnings.

    Attributes:
        folder: of the run; the commands take it too.
        results: all of ``results.json``: systems with intervals, comparisons, slices, the protocol.
    """

    def __init__(
        self,
        folder: Path,
        results: Mapping[str, Any],
        *,
        plugins: Sequence[Path] = (),
        trusted: bool = False,
        quiet: bool = False,
    ) -> None:
        self.folder, self.results = folder, results
        self._plugins, self._trusted, self._quiet = list(plugins), trusted, quiet

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """System -> metric -> value; ``pandas.DataFrame(result.metrics)`` has a column for each system."""
        found = {name: {m: float(v["value"]) for m, v in of.items()} for name, of in self.results["systems"].items()}
        for name, figures in self.results.get("whole", {}).items():
            found.setdefault(name, {}).update({metric: float(value) for metric, value in figures.items()})
        return found

    def table(self) -> str:
        """The closing table as text."""
        return self._closing.text()

    @property
    def policy(self) -> Policy:
        """The model with its final weights; loaded at the first call, which takes the data too.

        Raises:
            PoloError: weights are damaged, or what they were made with is not there.
        """
        return self._recommender.policy

    @property
    def splits(self) -> Splits:
        """The run's data: catalogue, rows, training sequences; read at the first call.

        Raises:
            PoloError: the data cannot be had.
        """
        return self._recommender.splits

    def recommend(
        self, history: Sequence[str], *, top: int = 10, candidates: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """See :func:`polo.recommend`."""
        asked = self._recommender.ask(history, candidates, ("history", "candidates"))
        for text, title in asked.guessed:
            self._console.say(f"took {text!r} for {title!r}")
        return self._recommender.rank(asked, top).ranked

    @property
    def _closing(self) -> Closing:
        return closing(self.results)

    @cached_property
    def _console(self) -> Console:
        return Console(quiet=self._quiet)

    @cached_property
    def _recommender(self) -> Recommender:
        from polo.run.opening import open_recipe

        resolved, plugins = open_recipe(
            str(self.folder / "resolved.yaml"), (), "none", self._plugins,
            say=self._console.say, trust_plugins=self._trusted,
        )  # fmt: skip

        from polo.run.recommending import Recommender
        from polo.store.runfolder import RunFolder

        return Recommender(resolved, plugins, RunFolder.open(self.folder), self._console)

    def __repr__(self) -> str:
        return f"{self.table()}\n{self.folder}"

    def _repr_html_(self) -> str:
        """The closing table for a notebook; what a run says is a stranger's word, and escaped."""
        table = self._closing
        head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in table.rows
        )
        return (
            f"<p><b>{escape(table.heading)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<p><small>{escape(table.foot)}<br><code>{escape(str(self.folder))}</code></small></p>"
        )
