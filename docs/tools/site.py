"""What mkdocs calls while it builds: adds the generated reference and the results to the pages.

Knows nothing of what they say.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = str(Path(__file__).parents[2])


def on_files(files: Files, config: Any) -> Files:
    """Adds ``results.md`` and ``reference/``; an undocumented name ends the build."""
    if ROOT not in sys.path:
        sys.path.insert(0, ROOT)
    from docs.tools.reference import pages

    for path, text in pages().items():
        files.append(File.generated(config, f"reference/{path}", content=text))
    results = (Path(ROOT) / "benchmarks" / "RESULTS.md").read_text("utf-8")
    files.append(File.generated(config, "results.md", content=results))
    return files
