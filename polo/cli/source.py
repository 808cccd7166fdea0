"""Where a component is written and what its docstring says, found by reading the file, not by importing it."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from polo.plugin.catalogue import Entry

#: sections of a docstring that are about calling it from Python, not about what it computes
_SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:", "Example")


def source_of(entry: Entry) -> tuple[str, str]:
    """``file:line`` of what is built, and its docstring up to the first section on arguments or examples."""
    module, _, attribute = entry.component.build.partition(":")
    if not module or (entry.record.local and module == entry.record.entry):
        file = entry.record.file
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return f"{entry.component.build} (not found)", ""
        file = spec.origin if spec is not None and spec.origin else ""
    try:
        body = ast.parse(Path(file).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return file or f"{entry.component.build} (not found)", ""
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef) and statement.name == attribute:
            return f"{file}:{statement.lineno}", _about(ast.get_docstring(statement) or "")
    return file, ""


def _about(docstring: str) -> str:
    lines = docstring.splitlines()
    end = next((i for i, line in enumerate(lines) if line.startswith(_SECTIONS)), len(lines))
    return "\n".join(lines[:end]).strip().replace("``", "")
