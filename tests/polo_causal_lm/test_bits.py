"""bitsandbytes is imported without its request for code of a hub, and nothing is said of it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.sources import ROOT, imports, modules

ALONE = {"peft": "lora.py", "bitsandbytes": "bits.py"}
ASKING = """\
import sys
import polo_causal_lm.lora, kernels
assert "bitsandbytes" in sys.modules
print("kernels is", kernels.__file__)
"""


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed here")
def test_no_kernel_is_fetched_and_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(
        "def get_kernel(*words, **more):\n    print('FETCHED', words)\n    raise OSError('no network')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}

    def said(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, env=environment,
            cwd=tmp_path, check=True,
        )  # fmt: skip
        return done.stdout + done.stderr

    assert said(ASKING) == f"kernels is {tmp_path / 'kernels.py'}\n", "and it can be imported afterwards"
    by_itself = said("import bitsandbytes.backends.cpu.ops as ops; print('asks', bool(ops.has_avx512bf16()))")
    assert ("FETCHED" in by_itself) == ("asks True" in by_itself), "what is kept from happening"


def test_law_peft_and_bitsandbytes_are_imported_in_one_place_each() -> None:
    found = {
        (module.partition(".")[0], path.name)
        for path in modules("plugins")
        for _, module, _ in imports(path)
        if module.partition(".")[0] in ALONE
    }
    assert found == {("peft", "lora.py")}, "bitsandbytes is imported by name in bits.py"
    assert (ROOT / "plugins" / "polo_causal_lm" / ALONE["bitsandbytes"]).is_file()
