"""What every test shares."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

from polo.cli import main

settings.register_profile("polo", deadline=None, max_examples=50)
settings.load_profile("polo")

# whatever else is installed beside polo must not change results
os.environ["POLO_PLUGINS"] = ""
os.environ.pop("POLO_DISABLE_PLUGINS", None)
os.environ.pop("POLO_STRICT_PLUGINS", None)
# nor the width of the terminal that the tests were started from, which pytest's workers are told
os.environ.pop("COLUMNS", None)


@pytest.fixture
def polo(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """polo in this process: words -> exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run
