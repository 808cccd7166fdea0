"""Docstrings as Markdown. Knows the few forms that polo's docstrings have; knows nothing of what they are about."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

#: headings of a docstring, and what they are called on a page
HEADINGS = {
    "Args:": "Arguments",
    "Attributes:": "Attributes",
    "Returns:": "Returns",
    "Raises:": "Raises",
    "Example:": "Example",
    "Example::": "Example",
    "Examples:": "Examples",
}


def markdown(docstring: str) -> str:
    """A docstring as Markdown.

    Example:
        >>> print(markdown("Adds a_b.\\n\\nArgs:\\n    a: ``one`` term\\n        or two\\n"))
        Adds a\\\\_b.
        <BLANKLINE>
        **Arguments**
        <BLANKLINE>
        - a: `one` term or two
    """
    blocks = []
    for heading, lines in _sections(inspect.cleandoc(docstring).splitlines()):
        body = textwrap.dedent("\n".join(lines)).strip("\n")
        if not heading:
            blocks.append(_prose(body))
        elif heading.startswith("Example"):
            blocks += [f"**{HEADINGS[heading]}**", f"```python\n{body}\n```"]
        else:
            blocks += [f"**{HEADINGS[heading]}**", "\n".join(f"- {inline(item)}" for item in _items(body))]
    return "\n\n".join(block for block in blocks if block.strip())


def inline(text: str) -> str:
    """Words of one paragraph: code stays code, references become names, and no other character is markup.

    Example:
        >>> print(inline("``a*b`` of :class:`~polo.scores.Draw`, x_j < y_j * 2"))
        `a*b` of `Draw`, x\\_j &lt; y\\_j \\* 2
    """
    text = re.sub(r":(?:class|func|meth|mod|attr):`~?(?:[\w.]*\.)?([\w]+)`", r"``\1``", text)
    pieces = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.DOTALL)
    return "".join(f"`{piece.strip('`')}`" if i % 2 else _escaped(piece) for i, piece in enumerate(pieces))


def cell(text: str) -> str:
    """The same for a cell of a table."""
    return inline(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_\[\]{}])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    heading, held = "", list[str]()
    for line in lines:
        if line.strip() in HEADINGS and not line.startswith(" "):
            yield heading, held
            heading, held = line.strip(), []
        elif heading and line and not line.startswith(" "):  # prose goes on after a section
            yield heading, held
            heading, held = "", [line]
        else:
            held.append(line)
    yield heading, held


def _items(body: str) -> list[str]:
    """The entries of a section: a line that is not indented begins one."""
    found: list[str] = []
    for line in body.splitlines():
        if line.startswith(" ") and found:
            found[-1] += " " + line.strip()
        elif line.strip():
            found.append(line.strip())
    return found


def _prose(text: str) -> str:
    """Paragraphs, lists and indented formulas."""
    blocks = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if lines and lines[0].startswith("    ") and not lines[0].strip().startswith("- "):
            blocks.append(f"```text\n{textwrap.dedent(block)}\n```")
            continue
        held = list[str]()
        for line in lines:
            starts = line.lstrip().startswith("- ")
            if starts and held and not held[-1].startswith("- "):
                held.append("")  # a list begins after an empty line
            if held and held[-1].startswith("- ") and not starts:
                held[-1] += " " + line.strip()
            else:
                held.append(line.strip())
        blocks.append("\n".join(f"- {inline(x[2:])}" if x.startswith("- ") else inline(x) for x in held))
    return "\n\n".join(blocks)
