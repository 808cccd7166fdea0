"""Third-party plugins, really installed, that are broken in every way: each is named in a line, and in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.wheels import install

LOSS = """
from polo import Component, hookimpl

@hookimpl
def polo_loss_heads():
    return [Component(name="{name}", build="{build}", summary="a loss")]
"""
SLOW = "import time\nbegan = time.process_time()\nwhile time.process_time() - began < 1.1:\n    pass\n"
WATCHES = """
from polo import hookimpl

@hookimpl
def polo_step_ended(step):
    raise ValueError(f"at step {step}")
"""

#: distribution -> code, what it requires, and what is said of it when plugins are listed
BROKEN = {
    "polo-plugin-import": ("raise ImportError('half of it is missing')", "", "ImportError: half of it is missing"),
    "polo-plugin-needy": ("import no_such_thing", "no-such-thing", "No module named 'no_such_thing'"),
    "polo-plugin-syntax": ("def broken(:\n", "", "SyntaxError: "),
    "polo-plugin-exit": ("raise SystemExit(3)", "", "SystemExit: 3"),
    "polo-plugin-raises": (LOSS.format(name="x", build=":X").replace("return", "raise KeyError('y') #"), "",
                           "KeyError: 'y'"),
    "polo-plugin-returns": (LOSS.format(name="x", build=":X").replace("[C", "(C").replace(")]", "))"), "",
                            "hook 'polo_loss_heads' returned Component, not a list"),
    "polo-plugin-future": (f"POLO_PLUGIN_API = 99\n{LOSS}", "", "written for version 99 of the plugin contracts"),
    "polo-plugin-misspelt": (LOSS.replace("polo_loss_heads", "polo_loss_head"), "", "did you mean 'polo_loss_heads'?"),
}  # fmt: skip
#: those that load, and are told of only where it matters
WORKING = {
    "polo-plugin-lost": LOSS.format(name="lost", build="polo_plugin_lost.nowhere:Lost"),
    "polo-plugin-a": LOSS.format(name="twin", build=":X") + "\nclass X: ...\n",
    "polo-plugin-b": LOSS.format(name="twin", build=":X") + "\nclass X: ...\n",
    "polo-plugin-slow": SLOW + LOSS.format(name="slow", build=":X"),
    "polo-plugin-watches": WATCHES,
}
RECIPE = """\
polo: 1
name: unconcerned
data: {use: demo, items: 120, users: 40, shortest: 8, longest: 12}
candidates: {n: 5}
policy: {use: mf, dim: 4}
reference: none
stages:
  prefer: {loss: bpr, sampler: {use: uniform, k: 2}, steps: 3, lr: 1e-2, batch: 16, validate: {rows: 10}}
evaluate: {evaluators: [{use: hit_ratio, k: [1]}], baselines: []}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    codes = {dist: (code, requires) for dist, (code, requires, _) in BROKEN.items()}
    install(folder, codes | {dist: (code, "") for dist, code in WORKING.items()})
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def polo(place: Path, *words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLO_PLUGINS")}
    env = kept | {"PYTHONPATH": str(place / "site"), "POLO_CACHE": str(place / "cache"), **environment}
    done = subprocess.run(
        [sys.executable, "-m", "polo", *words], cwd=place, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def module(dist: str) -> str:
    return dist.replace("-", "_")


def test_each_is_named_in_one_line_with_what_is_wrong(place: Path) -> None:
    done = polo(place, "plugins")
    said = done.stderr.splitlines()
    for dist, (_, _, error) in BROKEN.items():
        (line,) = [line for line in said if line.startswith(f"{dist} 1.0 ({module(dist)})")]
        assert " is broken: " in line
        assert error in line
    (slow,) = [line for line in said if "is broken" not in line]
    assert slow.startswith("polo-plugin-slow 1.0 (polo_plugin_slow): takes 1.")
    assert "s to load, in every command" in slow
    listed = {line.split()[1] for line in done.stdout.splitlines()[1:]}
    assert listed == {*BROKEN, *WORKING, "polo-rec"}


def test_check_fails_and_strict_is_fatal(place: Path) -> None:
    polo(place, "plugins", "--check", code=1)
    done = polo(place, "plugins", code=2, POLO_STRICT_PLUGINS="1")
    assert "is broken" in done.stderr


def test_a_run_that_uses_none_of_them_ends_well_and_names_who_failed_while_watching_once(place: Path) -> None:
    done = polo(place, "run", "recipe.yaml")
    assert (Path(done.stdout.splitlines()[-1]) / "results.json").is_file()
    said = [line for line in done.stderr.splitlines() if "polo-plugin" in line]
    told = "its hook polo_step_ended failed, it is told nothing more: ValueError: at step 0"
    (line,) = [line for line in said if "slow" not in line]
    assert line == f"warning: plugin polo-plugin-watches:polo_plugin_watches: {told}"


@pytest.mark.parametrize(
    ("loss", "errors"),
    [
        ("lost", ["loss 'lost' of plugin polo-plugin-lost 1.0 (polo_plugin_lost): cannot import build"]),
        ("twin", ["2 plugins provide the loss 'twin'", "polo-plugin-a/twin or polo-plugin-b/twin"]),
        ("theirs", [f"{dist} 1.0 ({module(dist)}) may provide it, but failed to load" for dist in BROKEN]),
    ],
)
def test_who_uses_one_is_told_which(place: Path, loss: str, errors: list[str]) -> None:
    done = polo(place, "run", "recipe.yaml", f"stages.prefer.loss={loss}", "out=refused", code=2)
    for error in errors:
        assert error in done.stderr
    assert not (place / "refused").exists()


def test_one_of_two_is_reached_by_its_distribution(place: Path) -> None:
    assert "ok: " in polo(place, "validate", "recipe.yaml", "stages.prefer.loss=polo-plugin-b/twin").stdout
