"""``nox``: the tests, the example recipe, and style."""

import nox

nox.options.sessions = ["tests", "recipe", "lint"]


@nox.session
def tests(session: nox.Session) -> None:
    """Every check of the contract; a plugin that polo cannot load fails at once, with the reason."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs, env={"POLO_STRICT_PLUGINS": "1"})


@nox.session
def recipe(session: nox.Session) -> None:
    """The example recipe, from data to a table."""
    session.install("-e", ".")
    session.run("polo", "run", "two_tower_toy", f"out={session.create_tmp()}")


@nox.session
def lint(session: nox.Session) -> None:
    """Style."""
    session.install("ruff")
    session.run("ruff", "check", ".")
