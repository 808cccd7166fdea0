"""What mkdocs calls while it builds: adds the generated reference to the pages. Knows nothing of what they say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = str(Path(__file__).parents[2])


def on_files(files: Files, config: Any) -> Files:
    """Adds ``reference/``; an undocumented name ends the build."""
    if ROOT not in sys.path:
        sys.path.insert(0, ROOT)
    from docs.tools.reference import pages

    for path, text in pages().items():
        files.append(File.generated(config, f"reference/{path}", content=text))
    return files
