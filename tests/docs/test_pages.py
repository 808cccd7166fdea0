"""Every page as its reader follows it: its files written, its commands run one after the other in a fresh checkout.

The environment borrows polo and what polo needs from the one that runs this, so that nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, Block, blocks, checkout
from tests.environments import environment

pytestmark = pytest.mark.pages
_DATA = Path(os.environ.get("POLO_DATA") or "nowhere")


def lacks(block: Block) -> str:
    """Why a block cannot be run here; nothing where it can."""
    import torch

    there = {
        "": True,
        "data": (_DATA / "ml-100k").is_dir(),
        "gpu": torch.cuda.is_available(),
        "vllm": importlib.util.find_spec("vllm") is not None,
    }
    return block.unrun or ("" if there[block.needs] else f"no {block.needs} here")


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """What a reader's own cache is: a base or a stage that one page has made is not made again for the next."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.language in ("sh", "python") for b in blocks(page))])
def test_law_a_page_does_what_it_says(page: str, tmp_path: Path, cache: Path) -> None:
    python = environment(tmp_path / "venv")
    (python.parent / "polo").write_text(f'#!/bin/sh\nexec {python} -m polo "$@"\n', "utf-8")
    (python.parent / "polo").chmod(0o755)
    env = {name: value for name, value in os.environ.items() if name != "POLO_PLUGINS"}
    env |= {"PATH": f"{python.parent}{os.pathsep}{env['PATH']}", "POLO_CACHE": str(cache)}
    env |= {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false", "CUDA_VISIBLE_DEVICES": ""}
    folder = tmp_path / "polo"
    checkout(folder)
    left_out = []
    for block in blocks(page):
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language in ("sh", "python"):
            if why := lacks(block):
                left_out.append(f"{block.place}: {why}")
                continue
            shell = ["bash", "-euo", "pipefail", "-c", block.text]
            command = shell if block.language == "sh" else [str(python), "-c", block.text]
            done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block.place}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    print("\n".join(f"left out: {line}" for line in left_out))
