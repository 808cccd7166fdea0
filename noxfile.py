"""The checks, each in an environment of its own made from constraints.txt: ``nox -s tests lint types``."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

PYPROJECT = nox.project.load_toml("pyproject.toml")
#: two of these processes at once; more threads than cores would slow each other down
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def install(session: nox.Session, *groups: str, extras: str = "") -> None:
    """polo, editable, and the named dependency groups, as constraints.txt pins them."""
    words = [word for group in groups for word in nox.project.dependency_groups(PYPROJECT, group)]
    session.install("-c", "constraints.txt", "-e", f".{extras}", *words)


@nox.session
def tests(session: nox.Session) -> None:
    """Unit, property, contract and end-to-end tests, and every docstring example. ``-- PATH`` runs a part of them."""
    install(session, "tests", extras="[replication,testing]")
    what = session.posargs or ["tests", "polo", "plugins", "-n", "2", "-m", "not slow and not gpu and not oracle"]
    session.run("pytest", "--doctest-modules", *what, env=THREADS)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take more than half a minute each."""
    install(session, "tests", extras="[replication,testing]")
    session.run("pytest", "tests", "-m", "slow", *session.posargs, env=THREADS)


@nox.session
def oracles(session: nox.Session) -> None:
    """Other libraries as judges of our losses."""
    install(session, "tests", "oracles", extras="[replication,testing]")
    session.run("pytest", "tests/oracles", "-m", "oracle", *session.posargs, env=THREADS)


@nox.session
def lint(session: nox.Session) -> None:
    """Style (ruff) and walls between rooms (import-linter)."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, on the engine."""
    install(session, "types")
    session.run("mypy")
