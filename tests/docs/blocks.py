"""The pages that people read, as the blocks of code and commands in them.

A block is ```` ```LANGUAGE title="FILE" ````; one with a title is a file of that name. A comment on a line of its own
before it says what its test needs: ``<!-- needs: data -->``, ``<!-- not run: WHY -->`` (its words are checked all the
same), ``<!-- later -->`` (its recipe is whole only when the commands before it were run).
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.repository.sources import ROOT

#: the README and the pages of docs/, by their path in the repository
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_REMARK = re.compile(r"<!-- (needs|not run|later)(?:: (.+?))? -->")


@dataclass(frozen=True)
class Block:
    """One block of a page, and what stands above it for its test."""

    page: str
    line: int
    language: str
    title: str
    text: str
    needs: str = ""
    unrun: str = ""
    later: bool = False

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The commands of a block of shell, as words."""
        for line in self.text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
            lexer.whitespace_split = True
            lexer.commenters = "#"
            words: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set("&|;"):
                    if words:
                        yield words
                    words = []
                else:
                    words.append(word)


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order.

    Raises:
        AssertionError: one is not closed.
    """
    found, inside, remarks = [], None, {}
    for number, line in enumerate((ROOT / page).read_text("utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if inside is None:
            if fence:
                info = fence["info"].strip()
                title = re.search(r'title="([^"]+)"', info)
                inside = (number, info.partition(" ")[0], title[1] if title else "", len(fence["indent"]), [])
            elif remark := _REMARK.fullmatch(line.strip()):
                remarks[remark[1]] = remark[2] or "yes"
            elif line.strip():
                assert not remarks, f"{page}:{number}: a remark stands before a block and nothing else"
        elif fence and not fence["info"]:
            start, language, title, indent, lines = inside
            text = "".join(f"{line[indent:]}\n" for line in lines)
            found.append(
                Block(
                    page,
                    start,
                    language,
                    title,
                    text,
                    remarks.get("needs", ""),
                    remarks.get("not run", ""),
                    "later" in remarks,
                )
            )
            inside, remarks = None, {}
        else:
            inside[-1].append(line)
    assert inside is None, f"{page}: a block is not closed"
    return found


def checkout(folder: Path) -> None:
    """A copy of the files of the repository, as a fresh clone with what is not committed yet."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
