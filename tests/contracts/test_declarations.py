"""What the plugins declare can be listed without torch, and every option says what it is."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import typing

import pytest

from polo import InputError
from polo.plugin.component import RefKind
from polo.recipe.fields import fields_of
from polo.testing import context, small_splits
from tests.contracts.components import ALL, UNIFORM, load, make

EVERY = [(kind, name) for kind, found in ALL.items() for name in found]


def test_listing_and_validating_options_load_no_torch_and_no_numpy() -> None:
    code = (
        "import sys, importlib\n"
        "import polo_preference, polo_dynamicpo, polo_lpo, polo_drrl, polo_backbones, polo_tfllmer\n"
        "for plugin in (polo_preference, polo_dynamicpo, polo_lpo, polo_drrl, polo_backbones, polo_tfllmer):\n"
        "    hooks = ('polo_loss_heads', 'polo_beta_schedules', 'polo_negative_samplers', 'polo_policies',\n"
        "             'polo_item_encoders')\n"
        "    for name in hooks:\n"
        "        for c in getattr(plugin, name, list)():\n"
        "            if c.options:\n"
        "                importlib.import_module(c.options.partition(':')[0])\n"
        "assert not {'torch', 'numpy', 'jaxtyping'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_component_says_what_it_is(kind: str, name: str) -> None:
    component = ALL[kind][name]
    assert component.summary
    assert load(component.build).__doc__
    if component.options is None:
        return
    options = load(component.options)
    assert dataclasses.is_dataclass(options)
    assert options.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(options))
    for field in fields_of(options, meanings=True):
        assert field.meaning, f"{kind} {name}: option {field.key} has no `#:` line"
        required = typing.get_origin(field.hint) is typing.Annotated and any(
            isinstance(mark, RefKind) for mark in field.hint.__metadata__
        )
        assert not field.required or required or field.key == "of", f"{kind} {name}: {field.key} has no default"


def test_sklearn_that_is_not_there_is_said_when_the_sampler_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(InputError, match="polo-rec\\[replication\\]"):
        make("sampler", "boundary", context(splits=small_splits()), from_=UNIFORM, method="sklearn")
