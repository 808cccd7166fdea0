"""The step benchmark after an install without the published code's libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STEP = Path(__file__).resolve().parents[2] / "benchmarks" / "step.py"


def test_without_scikit_learn_a_sentence_says_what_to_install() -> None:
    program = f"import runpy, sys; sys.modules['sklearn'] = None; runpy.run_path({str(STEP)!r}, run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "pip install 'scikit-learn" in ended.stderr
    assert "Traceback" not in ended.stderr
