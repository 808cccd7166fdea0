"""Named checks of a component: as functions to call, for ``polo plugin check``, or for pytest.

Knows which laws a kind has (``polo.testing.laws``), not what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polo.data import Splits
from polo.errors import InputError
from polo.plugin.load import Plugins, load_plugins
from polo.testing.laws import Law, laws_of
from polo.testing.subject import Subject
from polo.words import did_you_mean

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Check:
    """One law, asked of one component: call it.

    Args:
        component: ``kind/name``.
        name: of the law.
        law: what it says, in a sentence.
        run: raises an ``AssertionError`` where the law is broken.
    """

    component: str
    name: str
    law: str
    run: Callable[[], None]

    def __call__(self) -> None:
        self.run()

    def __str__(self) -> str:
        return f"{self.component}:{self.name}"


def check_component(
    kind: str,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    plugins: Plugins | None = None,
    files: Sequence[Path | str] = (),
    splits: Splits | None = None,
) -> Iterator[Check]:
    """The checks of an installed component, one after the other; nothing runs before a check is called.

    A declaration may take a law back by a tag: ``with_replacement``, ``plants_known`` and ``batchwise`` (samplers),
    ``by_column`` (betas).

    Args:
        kind, name: as a recipe names it.
        options: as a recipe writes them. An option that must be given and is a component may be left out: a small
            stand-in then takes its place.
        plugins: where it is found; all that is installed if not given.
        files: local plugin files to load besides.
        splits: data to show it instead of a small made-up world.

    Raises:
        InputError: there is no such kind or component.

    Example:
        >>> checks = list(check_component("scorer", "policy"))
        >>> str(checks[0])
        'scorer/policy:says_what_it_is'
        >>> for check in checks:
        ...     check()
    """
    plugins = plugins or load_plugins(files=files)
    world = {} if splits is None else {"splits": splits}
    subject = Subject.of(plugins, kind, name, options, **world)
    return (_check(subject, name, law) for law in laws_of(kind))


def _check(subject: Subject, name: str, law: Law) -> Check:
    said = (law.__doc__ or "").strip().splitlines()[0]
    return Check(f"{subject.kind}/{name}", law.__name__, said, lambda: law(subject))


def parametrize_with_checks(
    kind: str,
    names: str | Sequence[str],
    options: Mapping[str, Any] | None = None,
    *,
    expected_failed: Mapping[str, str] | None = None,
    files: Sequence[Path | str] = (),
    splits: Splits | None = None,
) -> pytest.MarkDecorator:
    """A pytest decorator: the test below it runs once for each check of each component, as argument ``check``.

    ::

        @parametrize_with_checks("sampler", "cubic")
        def test_contract(check):
            check()

    Args:
        kind: of all the components.
        names: one name, or several.
        options: as a recipe writes them, for each of them.
        expected_failed: check -> reason why it cannot pass; a check that passes all the same is a failure.
        files: local plugin files to load.
        splits: data to show them.

    Raises:
        InputError: there is no such component, or ``expected_failed`` names no check or gives no reason.
    """
    import pytest

    plugins, excused = load_plugins(files=files), dict(expected_failed or {})
    known = [law.__name__ for law in laws_of(kind)]
    for law, why in excused.items():
        if law not in known:
            raise InputError(f"no check of a {kind} is called {law!r}", fix=did_you_mean(law, known))
        if not why.strip():
            raise InputError(f"check {law!r} is expected to fail without a reason", fix="write why")
    cases = []
    for name in [names] if isinstance(names, str) else names:
        for check in check_component(kind, name, options, plugins=plugins, splits=splits):
            reason = excused.get(check.name)
            marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
            cases.append(pytest.param(check, marks=marks, id=str(check)))
    return pytest.mark.parametrize("check", cases)


def check_live(subject: Subject) -> None:
    """All laws of a kind but those of declarations, asked of an object that nobody declared.

    Raises:
        AssertionError: names the broken law.
    """
    from polo.testing.laws.declaration import LAWS

    for law in laws_of(subject.kind):
        if law not in LAWS:
            law(subject)


def check_loss(head: Any) -> None:
    """Checks a loss head on built-in cases; see ``polo.testing.laws.loss``.

    Raises:
        AssertionError: names the broken law.
    """
    check_live(Subject("loss", lambda context: head))


def check_beta(beta: Any, *, by_column: bool = False) -> None:
    """Checks a beta schedule on built-in cases; see ``polo.testing.laws.beta``.

    Args:
        beta: a built component.
        by_column: it draws randomness by column, so that the order of the negatives does play a part.

    Raises:
        AssertionError: names the broken law.
    """
    check_live(Subject("beta", lambda context: beta, frozenset({"by_column"} if by_column else ())))


def check_encoder(encoder: Any, splits: Splits) -> None:
    """Checks an encoder on the items of ``splits``; see ``polo.testing.laws.encoder``.

    Raises:
        AssertionError: names the broken law.
    """
    check_live(Subject("encoder", lambda context: encoder, splits=splits))


def check_sampler(
    sampler: Any,
    splits: Splits,
    *,
    batchwise: bool = False,
    plants_known: bool = False,
    with_replacement: bool = False,
) -> None:
    """Checks a sampler on the training rows of ``splits``; see ``polo.testing.laws.sampler``.

    Args:
        sampler: a built component.
        splits: the data that it was built with.
        batchwise, plants_known, with_replacement: tags of its declaration.

    Raises:
        AssertionError: names the broken law.
    """
    says = {"batchwise": batchwise, "plants_known": plants_known, "with_replacement": with_replacement}
    tags = frozenset(tag for tag, said in says.items() if said)
    check_live(Subject("sampler", lambda context: sampler, tags, splits=splits))
