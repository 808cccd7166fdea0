"""The trials of a sweep in one SQLite file, by optuna: which come next, and what came of them.

Knows settings and numbers; runs nothing. A process that works on a trial holds a lock on a file of the trial's number,
which its end releases however it comes, so that a trial whose process was killed is taken up again and no trial is
worked on twice. What settings a trial gets follows from the sweep's seed, the trial's number, the path, and (``tpe``)
the trials that had ended when it began: with one process a sweep that was killed has the trials that it would have had.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from polo.errors import InputError
from polo.randomness import seed_of
from polo.report import trials as words
from polo.report.trials import Sweep, Trial
from polo.run.resumed import differing
from polo.store.cost import read_cost
from polo.sweep.space import Dimension, grid

#: name of the database beside the runs of a sweep
DATABASE: Final = "sweep.db"
SAMPLERS: Final = ("tpe", "random", "grid")
#: seconds that a process waits for another one's write
_PATIENCE: Final = 60
#: trials that tell which settings matter
_ENOUGH: Final = 4


@dataclass(frozen=True)
class Plan:
    """What makes a sweep this sweep.

    Args:
        space: words of ``--set``, as given.
        sampler: one of :data:`SAMPLERS`.
        seed: of the choice of settings.
        prune: give up trials that are worse than the median of the others at the same measurement.
        recipe: the recipe that is swept, as plain data.
    """

    space: Sequence[str]
    sampler: str
    seed: int
    prune: bool
    recipe: Mapping[str, Any]

    def plain(self) -> dict[str, Any]:
        recipe = {key: value for key, value in self.recipe.items() if key != "out"}
        made = {"space": list(self.space), "sampler": self.sampler, "seed": self.seed, "prune": self.prune,
                "recipe": recipe}  # fmt: skip
        found: dict[str, Any] = json.loads(json.dumps(made))
        return found


def have_optuna() -> None:
    """Raises InputError where optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise InputError("sweeps need optuna, which is not installed", where="polo sweep",
                         fix="pip install 'polo-rec[sweep]'")  # fmt: skip


@dataclass
class Study:
    """The sweep of a folder, begun or gone on with.

    Args:
        folder: of the database and the trials' runs; its name is the sweep's.
        plan: of which it is.
        dimensions: of ``plan.space``.

    Raises:
        InputError: the folder holds another sweep, or a database that is none.
    """

    folder: Path
    plan: Plan
    dimensions: Sequence[Dimension]
    _study: Any = field(init=False)

    def __post_init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder.mkdir(parents=True, exist_ok=True)
        pruner = optuna.pruners.MedianPruner() if self.plan.prune else optuna.pruners.NopPruner()
        place = self.folder / DATABASE
        with self._alone():
            try:
                storage = optuna.storages.RDBStorage(
                    f"sqlite:///{place}", engine_kwargs={"connect_args": {"timeout": _PATIENCE}}
                )
                self._study = optuna.create_study(
                    storage=storage, study_name=self.folder.name, direction="maximize", pruner=pruner,
                    sampler=optuna.samplers.RandomSampler(), load_if_exists=True,
                )  # fmt: skip
            except Exception as error:  # of optuna, SQLAlchemy, alembic or sqlite3: the file is none of ours
                what = " ".join(str(error).split())[:200]
                raise InputError(f"is no database of a sweep: {what}", where=str(place),
                                 fix="move it away, or give the sweep another --name") from error  # fmt: skip
            now, began = self.plan.plain(), self._study.user_attrs.get("plan")
            if began is None:
                self._study.set_user_attr("study", uuid.uuid4().hex)
                self._study.set_user_attr("plan", now)
            elif other := differing(began, now):
                raise InputError(
                    f"this sweep began with another {', '.join(other[:5])}", where=str(place),
                    fix="give the command that it began with (--trials may differ), or another --name",
                )  # fmt: skip

    @property
    def metric(self) -> str:
        """What its trials are compared by; empty before the first has ended."""
        return str(self._study.user_attrs.get("metric", ""))

    # -- which comes next ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def next(self, most: int) -> Iterator[Open | None]:
        """A trial that nobody works on, or a new one while there are fewer than ``most``; ``None`` if there is none."""
        with contextlib.ExitStack() as stack:
            with self._alone():
                found = self._left(stack) or self._new(stack, most)
            yield found

    def _left(self, stack: contextlib.ExitStack) -> Open | None:
        from optuna.trial import Trial as Live
        from optuna.trial import TrialState

        for one in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if self._lock(stack, f".trial-{one.number}"):
                self._seed(one.number, "")
                return self._open(Live(self._study, one._trial_id))  # noqa: SLF001 - the only name of a trial's id
        return None

    def _new(self, stack: contextlib.ExitStack, most: int) -> Open | None:
        from optuna.trial import TrialState

        points = grid(self.dimensions) if self.plan.sampler == "grid" else None
        begun = self._study.get_trials(deepcopy=False)
        waiting = any(one.state == TrialState.WAITING for one in begun)  # a kill came between its point and its start
        number = len(begun) - waiting
        if number >= (most if points is None else min(most, len(points))):
            return None
        if points is not None and not waiting:
            self._study.enqueue_trial(points[number])
        self._lock(stack, f".trial-{number}")
        self._seed(number, "")
        return self._open(self._study.ask())

    def _open(self, live: Any) -> Open:
        settings = {}
        for one in self.dimensions:
            self._seed(live.number, one.path)
            if one.choices:
                settings[one.path] = str(live.suggest_categorical(one.path, list(one.choices)))
                continue
            suggest = live.suggest_int if one.whole else live.suggest_float
            ends = (int(one.low), int(one.high)) if one.whole else (one.low, one.high)
            settings[one.path] = one.override(suggest(one.path, *ends, log=one.log)).partition("=")[2]
        return Open(self._study, live, settings)

    def _seed(self, number: int, path: str) -> None:
        """The draw of a setting depends on nothing that was drawn before it."""
        import optuna

        seed = seed_of(self.plan.seed, "sweep", str(number), path) % 2**32
        if self.plan.sampler == "tpe":
            self._study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False)
        else:
            self._study.sampler = optuna.samplers.RandomSampler(seed=seed)

    # -- what came of them --------------------------------------------------------------------------------------

    def facts(self) -> Sweep:
        """All trials as they stand."""
        from optuna.trial import TrialState

        states = {TrialState.COMPLETE: words.DONE, TrialState.PRUNED: words.PRUNED, TrialState.FAIL: words.FAILED}
        found = []
        for one in self._study.get_trials(deepcopy=False):
            run = str(one.user_attrs.get("run", ""))
            last = [one.intermediate_values[step] for step in sorted(one.intermediate_values)][-1:]
            found.append(Trial(
                one.number, states.get(one.state, words.RUNNING),
                one.value if one.state == TrialState.COMPLETE else None, last[0] if last else None,
                {d.path: d.override(one.params[d.path]).partition("=")[2] for d in self.dimensions
                 if d.path in one.params},
                run, str(one.user_attrs.get("error", "")), read_cost(self.folder / run) if run else None,
            ))  # fmt: skip
        return Sweep(
            str(self._study.user_attrs["study"]), self.folder.name, self.metric,
            list(self.plan.space), [d.path for d in self.dimensions if d.log], self.plan.sampler, found,
            self._importance(found),
        )  # fmt: skip

    def _importance(self, found: Sequence[Trial]) -> dict[str, float]:
        """By PED-ANOVA (Watanabe, Bansal & Hutter, IJCAI 2023): how settings of good trials differ from all."""
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        values = [one.value for one in found if one.value is not None]
        various = [d.path for d in self.dimensions if len({one.settings.get(d.path) for one in found}) > 1]
        if len(values) < _ENOUGH or len(set(values)) < 2 or not various:
            return {}
        told = get_param_importances(self._study, evaluator=PedAnovaImportanceEvaluator(), params=various)
        return {str(path): float(share) for path, share in told.items()}

    # -- locks --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            self._lock(stack, ".lock", wait=True)
            yield

    def _lock(self, stack: contextlib.ExitStack, name: str, *, wait: bool = False) -> bool:
        """Takes a lock that holds until the stack, or this process, ends; False if another process has it."""
        handle = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        stack.callback(os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True


@dataclass(frozen=True)
class Open:
    """A trial that this process works on.

    Args:
        settings: dotted path -> value as the recipe writes it.
    """

    _study: Any
    _live: Any
    settings: Mapping[str, str]

    @property
    def number(self) -> int:
        return int(self._live.number)

    def began(self, run: str) -> None:
        """Its run has a folder of this name."""
        self._live.set_user_attr("run", run)

    def measured(self, at: int, value: float) -> bool:
        """Notes a measurement on the way; whether the trial is worse than the median of the others there."""
        known = self._study.get_trials(deepcopy=False)[self.number].intermediate_values
        if at not in known:
            self._live.report(value, at)
        return bool(self._live.should_prune())

    def ended(self, value: float, metric: str) -> None:
        self._study.set_user_attr("metric", metric)
        self._study.tell(self._live, value)

    def pruned(self) -> None:
        from optuna.trial import TrialState

        self._study.tell(self._live, state=TrialState.PRUNED)

    def failed(self, why: str) -> None:
        from optuna.trial import TrialState

        self._live.set_user_attr("error", why)
        self._study.tell(self._live, state=TrialState.FAIL)
