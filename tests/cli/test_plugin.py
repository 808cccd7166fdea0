"""``polo plugin check``: what it prints of good, broken and incomplete plugins, and its exit codes."""

from __future__ import annotations

import pytest

GOOD = '''
from dataclasses import dataclass
from polo import Component, hookimpl
from polo.testing.stand_ins import StandInSampler

class Mine(StandInSampler):
    """Draws as the stand-in does."""

@dataclass(frozen=True, kw_only=True)
class Needing:
    #: a file
    path: str

@hookimpl
def polo_negative_samplers():
    return [Component(name="mine", build="BUILD", summary="mine"OPTIONS)]
'''


def plugin(tmp_path, build=":Mine", options="", extra=""):
    path = tmp_path / "mine.py"
    path.write_text(GOOD.replace("BUILD", build).replace("OPTIONS", options) + extra)
    return path


def test_a_good_plugin(polo, tmp_path):
    path = plugin(tmp_path)
    code, out, err = polo("plugin", "check", "--plugin", path)
    assert (code, err) == (0, "")
    assert out == f"{path}\n  sampler/mine: 19 checks hold\n"
    assert polo("plugin", "check", "mine.py", "--plugin", path)[:2] == (0, out)


def test_a_plugin_that_breaks_a_law(polo, tmp_path):
    path = plugin(tmp_path, extra="\ndef polo_recipes(): ...\nMine.k = 3\n")
    code, out, err = polo("plugin", "check", "--plugin", path)
    assert code == 1
    assert "  sampler/mine: 18 checks hold, 1 fail\n" in out
    assert "    says_how_it_draws: no more negatives than `k` says, which is 3\n" in out
    assert "  warning: function 'polo_recipes' has no @polo.hookimpl and is never called\n" in out
    assert err == "1 failed\n"


def test_a_plugin_whose_build_leads_nowhere(polo, tmp_path):
    code, out, _ = polo("plugin", "check", "--plugin", plugin(tmp_path, build=":Mina"))
    assert code == 1
    assert "cannot import build ':Mina'" in out


def test_a_component_that_needs_options_is_named(polo, tmp_path):
    code, out, _ = polo("plugin", "check", "--plugin", plugin(tmp_path, options=', options=":Needing"'))
    assert code == 0
    assert "sampler/mine: skipped, it needs options: sampler: missing 'path' (text)" in out


def test_a_plugin_that_does_not_load(polo, tmp_path):
    code, out, err = polo("plugin", "check", "--plugin", plugin(tmp_path, extra="\nraise SystemExit(3)\n"))
    assert (code, err) == (1, "1 failed\n")
    assert "  broken: SystemExit: 3\n" in out


@pytest.mark.parametrize(
    ("words", "error"),
    [(["polo-rek"], "did you mean 'polo-rec'?"), ([], "no plugin but polo's own is installed")],
)
def test_what_is_not_there(polo, words, error):
    code, out, err = polo("plugin", "check", *words)
    assert (code, out) == (2, "")
    assert error in err


def test_help_names_the_group_and_its_commands(polo):
    assert " plugin " in polo("--help")[1]
    assert " check " in polo("plugin", "--help")[1]
