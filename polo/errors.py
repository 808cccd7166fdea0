"""Errors that a user can act on. Knows how a message is put together; knows nothing of who raises it.

Every error says what happened, where, and what to do. The command line turns a ``PoloError`` into a message and an
exit code; anything else that reaches it is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass


class PoloError(Exception):
    """Something failed that the user can understand and mend.

    Args:
        what: what happened, in one sentence.
        where: a place, such as ``recipe.yaml:12:5`` or a file name.
        fix: what to do about it.

    Example:
        >>> print(PoloError("no row fits 64 tokens", where="data.history", fix="raise policy.max_tokens"))
        data.history: no row fits 64 tokens
          -> raise policy.max_tokens
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        head = f"{where}: {what}" if where else what
        super().__init__(f"{head}\n  -> {fix}" if fix else head)


class InputError(PoloError):
    """The user's input (recipe, path, plugin, option) cannot be used. Exit code 2."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a recipe: ``where`` is ``file:line:column`` or the name of an override."""

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"\n  -> {self.fix}" if self.fix else "")


class RecipeError(InputError):
    """Everything that is wrong in a recipe, at once.

    Example:
        >>> error = RecipeError([Problem("r.yaml:3:1", "unknown key 'stage'", "did you mean 'stages'?")])
        >>> print(error)
        r.yaml:3:1: unknown key 'stage'
          -> did you mean 'stages'?
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))
