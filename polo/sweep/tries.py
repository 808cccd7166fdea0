"""Working on the trials of a sweep: each is an ordinary run that is evaluated on validation, and never on the test.

Knows runs and the sweep's trials; how settings are chosen is in ``study.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from polo.errors import InputError, PoloError
from polo.evaluate.metrics import MODEL
from polo.plugin.hookspecs import hookimpl
from polo.plugin.load import Plugins
from polo.recipe.model import Resolved
from polo.run.opening import named
from polo.store.runfolder import RunFolder
from polo.sweep.carry import carry_out
from polo.sweep.space import Dimension
from polo.sweep.study import Open, Study

#: what every trial is run with: the validation split, and no baselines, which settings do not touch
VALIDATION: Final = ("evaluate.split=valid", "evaluate.baselines=[]", "evaluate.start=false")
#: measurements of a stage are fewer than this
_STAGE: Final = 100_000


class Opener(Protocol):
    """Opens the recipe that is swept with further override words."""

    def __call__(self, *changes: str) -> tuple[Resolved, Plugins]: ...


class Pruned(BaseException):
    """A trial is given up: no fault, so nothing on its way may catch it as one."""


@dataclass
class Observer:
    """Tells a sweep what a run measures, and ends the run where the sweep gives it up.

    Only stages from the first one that the sweep touches count, and not their starts, which no setting has touched.

    Args:
        trial: that is run.
        stages: that count, in order.
        metric: its measurement counts where there is one, else the hit ratio at 1.
    """

    trial: Open
    stages: Sequence[str]
    metric: str
    _run: Path = field(default=Path(), init=False)

    @hookimpl
    def polo_run_started(self, run: Path, recipe: Mapping[str, Any]) -> None:
        self._run = run
        self.trial.began(run.name)

    @hookimpl
    def polo_step_ended(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        known = [name for name in (f"valid/{self.metric}", "valid/hit_ratio@1") if name in metrics]
        if stage not in self.stages or not known or step == 0:
            return
        # which measurement of the stage it is, also in a run that goes on: trials' steps may differ, these do not
        told = {line["step"] for line in RunFolder(self._run).metrics() if line["stage"] == stage and known[0] in line}
        at = _STAGE * self.stages.index(stage) + sum(0 < one <= step for one in told)
        if self.trial.measured(at, float(metrics[known[0]])):
            raise Pruned


def touched(stages: Sequence[str], space: Sequence[Dimension]) -> list[str]:
    """The stages from the first one that a sweep sets something of.

    Example:
        >>> touched(["sft", "prefer"], [Dimension("stages.prefer.lr")]), touched(["a", "b"], [Dimension("policy.dim")])
        (['prefer'], ['a', 'b'])
    """
    paths = [one.path.split(".") for one in space]
    if any(path[0] != "stages" or len(path) < 2 or path[1] not in stages for path in paths):
        return list(stages)
    return list(stages)[min(stages.index(path[1]) for path in paths) :]


def work(
    study: Study, opener: Opener, most: int, metric: str, say: Callable[[str], None], *, quiet: bool = True
) -> None:
    """Works on trials until there are ``most`` and none is left to work on.

    Args:
        metric: that decides; the recipe's first if empty.
        say: is told in a line of each trial.
        quiet: runs say nothing but warnings.

    Raises:
        InputError: there is no such metric.
        Interrupted, KeyboardInterrupt: the trial in progress is kept and goes on next time.
    """
    while True:
        with study.next(most) as trial:
            if trial is None:
                return
            _try(study, opener, trial, metric, say, quiet=quiet)


def _try(study: Study, opener: Opener, trial: Open, metric: str, say: Callable[[str], None], *, quiet: bool) -> None:
    head = f"trial {trial.number}: {' '.join(f'{path}={word}' for path, word in trial.settings.items())}"
    words = [f"{path}={word}" for path, word in trial.settings.items()]
    try:
        resolved, plugins = opener(*words, *VALIDATION, f"name=trial-{trial.number:03d}", f"out={study.folder}")
        stages = touched(list(resolved.recipe.stages), study.dimensions)
        plugins.manager.register(Observer(trial, stages, metric), name="sweep")
        done = carry_out(named(resolved), plugins, say, quiet=quiet)
    except Pruned:
        trial.pruned()
        say(f"{head}: pruned")
        return
    except PoloError as error:
        trial.failed(str(error))
        say(f"{head}: failed: {error}")
        return
    trial.began(done.folder.name)
    name, value = value_of(done.results, metric)
    trial.ended(value, name)
    say(f"{head}: {name} {value:.4f}")


def value_of(results: Mapping[str, Any], metric: str) -> tuple[str, float]:
    """The name and value of the metric that decides, of the model; the first one if none is asked for.

    Raises:
        InputError: there is no such metric.
    """
    figures = {name: float(one["value"]) for name, one in results["systems"][MODEL].items()}
    figures |= {name: float(value) for name, value in results.get("whole", {}).get(MODEL, {}).items()}
    name = metric or next(iter(figures))
    if name not in figures:
        raise InputError(f"trials have no metric {name!r}", where="--metric", fix=f"known: {', '.join(figures)}")
    return name, figures[name]
