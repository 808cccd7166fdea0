"""A folder put onto a model hub, in one commit. Knows the hub's client; knows no runs and no models."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polo.errors import InputError, PoloError
from polo.store.files import MANIFEST

#: what a new repository holds by itself
_OWN = (".gitattributes",)


def check_id(repository: str) -> None:
    """Refuses what no hub would take for the id of a model.

    Raises:
        InputError: it is none.

    Example:
        >>> check_id("org/name")
        >>> check_id("a/b/c")
        Traceback (most recent call last):
        polo.errors.InputError: --push: 'a/b/c' is no id of a model
          -> write it as the hub does: ORG/NAME
    """
    valid: Any = importlib.import_module("huggingface_hub.utils").validate_repo_id
    try:
        valid(repository)
        sound = "/" in repository
    except ValueError:
        sound = False
    if not sound:
        raise InputError(
            f"{repository!r} is no id of a model", where="--push", fix="write it as the hub does: ORG/NAME"
        )


def push(folder: Path, repository: str, *, private: bool, replace: bool, message: str) -> str:
    """All files of ``folder`` as one commit of a repository, which is made if it is not there. Returns its address.

    Args:
        folder: what is pushed; its manifest is left out.
        repository: ORG/NAME.
        private: whether a new repository can be seen by its owners alone.
        replace: whether files that the repository has may go; its history keeps them.
        message: of the commit.

    Raises:
        InputError: the repository holds files, and they may not go.
        PoloError: the hub refuses, or cannot be reached. A repository that was made stays there, empty.
    """
    client: Any = importlib.import_module("huggingface_hub")
    errors = importlib.import_module("huggingface_hub.errors")
    tools: Any = importlib.import_module("huggingface_hub.utils")
    api = client.HfApi()
    try:
        address = api.create_repo(repository, private=private or None, exist_ok=True, repo_type="model")
        there = [name for name in api.list_repo_files(repository) if name not in _OWN]
        if there and not replace:
            raise InputError(
                f"the repository holds {len(there)} files already, such as {there[0]}",
                where=repository,
                fix="choose another name, or --replace (its history keeps the files)",
            )
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
        names = [path.relative_to(folder).as_posix() for path in files]
        added = [client.CommitOperationAdd(name, path) for name, path in zip(names, files, strict=True)]
        gone = [client.CommitOperationDelete(name) for name in there if name not in names]
        with _bars(tools):
            api.create_commit(repository, [*gone, *added], commit_message=message, repo_type="model")
    except (errors.HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        raise _refused(repository, error) from error
    except Exception as error:
        if not type(error).__module__.startswith(type(tools.get_session()).__module__.partition(".")[0]):
            raise
        raise _refused(repository, error) from error  # what the client's own HTTP library raises
    return str(address)


@contextmanager
def _bars(tools: Any) -> Iterator[None]:
    """The client's progress bars are for terminals."""
    hidden = tools.are_progress_bars_disabled()
    if not sys.stderr.isatty():
        tools.disable_progress_bars()
    try:
        yield
    finally:
        if not hidden and not sys.stderr.isatty():
            tools.enable_progress_bars()


def _refused(repository: str, error: Exception) -> PoloError:
    parts = [error] if error.__cause__ is None else [error, error.__cause__]
    said = ": ".join(" ".join(str(one).split()).rstrip(".") or type(one).__name__ for one in parts)
    return PoloError(
        f"the hub has not taken it: {said}",
        where=repository,
        fix="`hf auth login` or HF_TOKEN logs in; HF_ENDPOINT names another hub; then push again",
    )
