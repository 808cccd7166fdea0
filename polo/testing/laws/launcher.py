"""What every launcher keeps; it is given small programs of Python to run, so what it needs must be there."""

from __future__ import annotations

import sys
from pathlib import Path

from polo.protocols import Launcher, Work
from polo.testing.subject import Subject

#: what a process finds in its environment
PLACE = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PROCESSES = 2


def every_process_knows_its_place(subject: Subject) -> None:
    """As many processes run as are asked for, each with a rank of its own and the address at which all meet."""
    launcher: Launcher = subject.new()
    folder = subject.empty_folder()
    code = launcher.launch(_work(f"(folder / os.environ['RANK']).write_text(' '.join(map(os.environ.get, {PLACE})))",
                                 folder))  # fmt: skip
    assert code == 0, f"processes that end well gave the code {code}"
    found = [dict(zip(PLACE, path.read_text().split(), strict=True)) for path in sorted(folder.iterdir())]
    ranks = [place["RANK"] for place in found]
    assert ranks == [str(rank) for rank in range(PROCESSES)], f"ranks {ranks} of {PROCESSES} processes"
    meeting = {tuple(place[name] for name in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")) for place in found}
    assert len(meeting) == 1, f"processes of one group would meet at {sorted(meeting)}"
    assert {place["WORLD_SIZE"] for place in found} == {str(PROCESSES)}, f"the group has not {PROCESSES} processes"


def a_failure_gives_its_code(subject: Subject) -> None:
    """The exit code of a process that fails, whichever it is, is that of all."""
    for rank in range(PROCESSES):
        launcher: Launcher = subject.new()
        code = launcher.launch(_work(f"sys.exit(2 * (os.environ['RANK'] == '{rank}'))", subject.empty_folder()))
        assert code == 2, f"process {rank} ended with code 2, the launcher gave {code}"


def _work(text: str, folder: Path) -> Work:
    code = f"import os, sys, pathlib\nfolder = pathlib.Path({str(folder)!r})\n{text}"
    return Work(words=(sys.executable, "-c", code), processes=PROCESSES)


LAWS = (every_process_knows_its_place, a_failure_gives_its_code)
