"""``python .../worker/__main__.py JOB [--share 0/1] [--parent PID]``: works off a job folder.

With ``--answer`` there is no work in the folder but settings: questions come in as lines of standard input, and the
process ends when that is closed, as it is when whoever started it is gone.

Standard output carries one JSON object a line for whoever started it; everything that libraries print goes to standard
error. Runs as ``python -m polo_vllm.worker`` too.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO


def _package() -> str:
    """Name under which this folder's modules can be imported; makes one if it was started as a file."""
    if __package__:
        return __package__
    here = Path(__file__).resolve().parent
    # Started as a file: its folder would stand first on the path and its modules in the way of others' names.
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != here]
    name = "polo_vllm_worker"
    spec = importlib.util.spec_from_file_location(name, here / "__init__.py", submodule_search_locations=[str(here)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{here} is no package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return name


def _own_stdout() -> TextIO:
    """The standard output that we were given, for us alone; prints of others go to standard error from here on."""
    ours = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return ours


def main(words: list[str]) -> None:
    """Parses the command line and runs this process's share of the job."""
    parser = argparse.ArgumentParser(prog="polo_vllm.worker", description="Scores the parts of a job folder.")
    parser.add_argument("job", type=Path)
    parser.add_argument("--share", default="0/1", help="which of how many processes this is, such as 1/4")
    parser.add_argument("--parent", type=int, help="stop when this process, which started us, is gone")
    parser.add_argument("--answer", action="store_true", help="answer questions from standard input")
    given = parser.parse_args(words)
    index, of = (int(word) for word in given.share.split("/"))
    out = _own_stdout()

    def tell(event: dict[str, Any]) -> None:
        out.write(json.dumps(event) + "\n")

    package = _package()
    if given.answer:
        settings = json.loads((given.job / "job.json").read_text("utf-8"))
        importlib.import_module(f"{package}.answer").serve(settings, sys.stdin, tell)
        return
    run = importlib.import_module(f"{package}.run")
    files = importlib.import_module(f"{package}.files")
    run.work_off(
        files.JobFolder(given.job),
        share=(index, of),
        tell=tell,
        go_on=lambda: given.parent is None or os.getppid() == given.parent,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
