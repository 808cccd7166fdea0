"""The notebook of docs/: its cells run one after the other, as a script and in a real kernel (``nox -s notebook``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.repository.sources import ROOT

NOTEBOOK = ROOT / "docs" / "first_run.ipynb"


def cells() -> list[dict[str, Any]]:
    return json.loads(NOTEBOOK.read_text("utf-8"))["cells"]


def test_the_notebook_is_kept_without_outputs() -> None:
    assert len(cells()) > 10
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells() if "outputs" in cell)


def test_the_cells_run_as_a_script(tmp_path: Path) -> None:
    code = "\n\n".join("".join(cell["source"]) for cell in cells() if cell["cell_type"] == "code")
    (tmp_path / "cells.py").write_text(code, "utf-8")
    env = os.environ | {"POLO_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "cells.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "best_possible" in done.stdout
    assert "did you mean 'bpr'" in done.stdout


@pytest.mark.notebook
def test_the_cells_run_in_a_kernel_and_show_a_table_and_a_bar(tmp_path: Path, monkeypatch) -> None:
    import nbformat
    import pandas as pd
    from nbclient import NotebookClient

    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "cache"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(
        nbformat.v4.new_code_cell("import pandas\nprint(pandas.DataFrame(softmax.metrics).to_json())")
    )
    done = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [out["data"] for cell in done.cells if cell.cell_type == "code" for out in cell.outputs if "data" in out]
    html = "".join(data.get("text/html", "") for data in shown)
    assert "<th>hit_ratio@1</th>" in html
    assert "<progress max=120 value=120></progress>" in html
    table = pd.DataFrame(json.loads(done.cells[-1].outputs[0]["text"]))
    assert {"model", "random"} <= set(table.columns)
    assert 0 < table.loc["hit_ratio@1", "model"] <= 1
