"""Each law is broken by a component that is made for it, and by no correct one."""

from __future__ import annotations

import pytest

from polo.plugin.component import KINDS
from polo.testing import Check, check_component
from polo.testing.laws import laws_of
from polo.testing.laws.declaration import LAWS, builds
from polo.testing.stand_ins import RECORD
from polo.testing.subject import Subject
from tests.testing.broken import Broken
from tests.testing.broken_launchers import LAUNCHERS
from tests.testing.broken_measures import AUDITS, BASELINES, DATA, ENCODERS, EVALUATORS, TRACKERS
from tests.testing.broken_models import AVERAGES, BASES, OPTIMISERS, POLICIES, SCORERS
from tests.testing.broken_training import BETAS, LOSSES, SAMPLERS

BROKEN = {
    "data": DATA,
    "policy": POLICIES,
    "base": BASES,
    "sampler": SAMPLERS,
    "beta": BETAS,
    "loss": LOSSES,
    "encoder": ENCODERS,
    "optimiser": OPTIMISERS,
    "average": AVERAGES,
    "scorer": SCORERS,
    "evaluator": EVALUATORS,
    "baseline": BASELINES,
    "audit": AUDITS,
    "tracker": TRACKERS,
    "launcher": LAUNCHERS,
}
CASES = [(kind, law, broken) for kind, table in BROKEN.items() for law, broken in table.items()]


def of_kind(kind: str) -> list[str]:
    """Names of the laws of a kind alone."""
    return [law.__name__ for law in laws_of(kind) if law not in (*LAWS, builds)]


def told(subject: Subject) -> dict[str, str]:
    """What the laws of its kind say of a component, by name, where they are broken."""
    said = {}
    for law in laws_of(subject.kind):
        if law not in (*LAWS, builds):
            try:
                law(subject)
            except AssertionError as error:
                said[law.__name__] = str(error)
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_every_law_of_every_kind_is_broken_by_some_component(kind: str) -> None:
    assert set(of_kind(kind)) == set(BROKEN.get(kind, {}))


@pytest.mark.parametrize(("kind", "law", "broken"), CASES, ids=[f"{kind}-{law}" for kind, law, _ in CASES])
def test_a_broken_component_is_told_its_law(kind: str, law: str, broken: Broken) -> None:
    said = told(broken.subject(kind))
    assert set(said) == {law} | broken.also
    assert said[law], "a sentence says what is wrong"


@pytest.mark.parametrize(("kind", "name"), [(kind, component.name) for kind, component in RECORD.components])
def test_the_stand_ins_are_correct(kind: str, name: str) -> None:
    checks = list(check_component(kind, name))
    assert all(isinstance(check, Check) and check.law for check in checks)
    for check in checks:
        if check.name != "lists_without_torch":  # they lie in polo.testing, which is for people who run checks
            check()
