"""What the plugin declares can be listed and validated without loading a model library."""

from __future__ import annotations

import importlib
import subprocess
import sys
import typing

import pytest

import polo_causal_lm
from polo import Component

COMPONENTS = [*polo_causal_lm.polo_policies(), *polo_causal_lm.polo_bases()]


def test_declarations_and_options_load_no_torch_and_no_numpy() -> None:
    code = (
        "import sys, polo_causal_lm, polo_causal_lm.options;"
        "polo_causal_lm.polo_policies(), polo_causal_lm.polo_bases();"
        "sys.exit(bool({'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.name)
def test_import_strings_lead_somewhere_and_options_can_be_resolved(component: Component) -> None:
    for target in (component.build, component.options):
        assert target is not None
        module, name = target.split(":")
        found = getattr(importlib.import_module(module), name)
    assert typing.get_type_hints(found, include_extras=True)
