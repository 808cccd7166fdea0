"""Discovery, isolation, blocking and conflicts of plugins, with distributions and files that the tests make."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polo.errors import InputError, RecipeError
from polo.plugin import hookspecs
from polo.plugin.check import hook_names
from polo.plugin.component import KINDS
from polo.plugin.load import Plugins, load_plugins
from tests.toys import RECIPE, TOY, resolve, write

LOSS = """
from polo import Component, hookimpl

class Mine:
    def __init__(self, options, context): self.options = options

@hookimpl
def polo_loss_heads():
    return [Component(name="{name}", build=":Mine")]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with one plugin module: what pip leaves behind, on sys.path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delenv("POLO_PLUGINS")

    def make(dist: str, module: str, code: str, version: str = "0.2", entry: str | None = None) -> Path:
        (site / f"{module}.py").write_text(code)
        info = site / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[polo]\n{entry or module} = {module}\n")
        return site

    yield make
    for name in [name for name, module in sys.modules.items() if str(site) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def record(plugins: Plugins, entry: str):
    return next(record for record in plugins.records if record.entry == entry)


def local(tmp_path: Path, code: str, name: str = "mine.py"):
    path = tmp_path / name
    path.write_text(code)
    return load_plugins(files=[path]).records[-1]


def test_the_hooks_that_declare_are_the_kinds():
    events = {"polo_run_started", "polo_step_ended", "polo_evaluated", "polo_run_ended"}
    assert set(hook_names()) == set(KINDS.values()) | events | {"polo_recipes", "polo_cli_commands"}
    assert all(getattr(hookspecs, name).__doc__ for name in hook_names())


def test_installed_plugins_come_sorted_by_distribution_and_name(install):
    install("polo-plugin-z", "zz_plugin", LOSS.format(name="zz"))
    install("Polo.Plugin_A", "aa_plugin", LOSS.format(name="aa"))
    plugins = load_plugins()
    dists = [item.dist for item in plugins.records]
    assert dists[0] == "Polo.Plugin_A"
    assert dists.index("Polo.Plugin_A") < dists.index("polo-plugin-z") < dists.index("polo-rec")
    found = record(plugins, "zz_plugin")
    assert (found.version, found.status, found.module) == ("0.2", "ok", "zz_plugin")
    assert [(kind, item.name) for kind, item in found.components] == [("loss", "zz")]
    assert plugins.catalogue.find("loss", "zz").qualified == "polo-plugin-z/zz"
    assert plugins.catalogue.find("loss", "zz").load_build().__name__ == "Mine"


def test_two_distributions_may_use_one_entry_name(install):
    install("polo-plugin-a", "aa_plugin", LOSS.format(name="aa"), entry="same")
    install("polo-plugin-b", "bb_plugin", LOSS.format(name="bb"), entry="same")
    assert {"aa", "bb"} <= set(load_plugins().catalogue.names("loss"))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:\n", "SyntaxError"),
        (
            "POLO_PLUGIN_API = 2",
            "written for version 2 of the plugin contracts (POLO_PLUGIN_API); this polo has version 1",
        ),
        ("from polo import hookimpl\n@hookimpl\ndef polo_loss_head(): return []", "did you mean 'polo_loss_heads'?"),
        (
            "from polo import hookimpl\n@hookimpl\ndef polo_loss_heads(x=1): return []",
            "argument 'x' of hook 'polo_loss_heads'",
        ),
        ("from polo import hookimpl\n@hookimpl\ndef polo_run_started(run=None): ...", "would never be filled"),
        ("from polo import hookimpl\n@hookimpl\ndef polo_run_started(folder): ...", "it may take: run, recipe"),
        ("from polo import hookimpl\n@hookimpl\ndef polo_run_started(*args): ...", "has no argument 'args'"),
        ("from polo import hookimpl\n@hookimpl\ndef polo_loss_heads(): return 1 / 0", "ZeroDivisionError"),
        ("from polo import hookimpl\n@hookimpl\ndef polo_loss_heads(): return ['dpo']", "not a polo.Component"),
        ("from polo import hookimpl\n@hookimpl\ndef polo_loss_heads(): return 'dpo'", "returned str, not a list"),
        ("from polo import hookimpl\n@hookimpl(wrapper=True)\ndef polo_loss_heads(): yield", "cannot be wrapped"),
        (LOSS.format(name="Upper-Case"), "a component called 'Upper-Case'"),
        (LOSS.format(name="mine").replace(":Mine", "mine.Mine"), "'mine.Mine' is no import string"),
        (LOSS.format(name="mine").replace("[Comp", "2 * [Comp"), "declares 'mine' twice"),
    ],
)
def test_a_broken_plugin_is_recorded_and_leaves_nothing_behind(install, code, error):
    install("polo-plugin-bad", "bad_plugin", code)
    install("polo-plugin-good", "good_plugin", LOSS.format(name="good"))
    plugins = load_plugins()
    bad = record(plugins, "bad_plugin")
    assert bad.status == "broken"
    assert error in bad.error
    assert bad.components == ()
    assert not any("bad_plugin" in str(plugin) for plugin in plugins.manager.get_plugins())
    assert plugins.catalogue.find("loss", "good")


def test_a_broken_plugin_is_fatal_only_for_a_recipe_that_may_mean_it(install, tmp_path):
    install("polo-plugin-bad", "bad_plugin", "import no_such_module_at_all")
    assert resolve(tmp_path).recipe.name == "toy"
    with pytest.raises(RecipeError) as caught:
        resolve(tmp_path, "stages.sft.loss=theirs")
    assert "polo-plugin-bad 0.2 (bad_plugin) may provide it, but failed to load" in str(caught.value)
    with pytest.raises(RecipeError, match=r"requires: plugin polo-plugin-bad 0.2 .* failed to load"):
        resolve(tmp_path, "requires=[polo-plugin-bad]")
    assert resolve(tmp_path, "requires=[polo-rec]")


def test_strict_plugins_make_a_failure_fatal(install, monkeypatch):
    install("polo-plugin-bad", "bad_plugin", "import no_such_module_at_all")
    monkeypatch.setenv("POLO_STRICT_PLUGINS", "1")
    with pytest.raises(InputError, match=r"polo-plugin-bad 0.2 .* is broken"):
        load_plugins()


def test_conflicts_are_errors_at_use_and_both_stay_reachable(install, tmp_path):
    install("polo-plugin-a", "aa_plugin", LOSS.format(name="twin"))
    install("polo-plugin-b", "bb_plugin", LOSS.format(name="twin"))
    catalogue = load_plugins().catalogue
    with pytest.raises(InputError) as caught:
        catalogue.find("loss", "twin")
    for word in ("polo-plugin-a 0.2", "polo-plugin-b 0.2", "polo-plugin-a/twin or polo-plugin-b/twin"):
        assert word in str(caught.value)
    assert catalogue.find("loss", "polo-plugin-b/twin").dist == "polo-plugin-b"
    assert {"polo-plugin-a/twin", "polo-plugin-b/twin"} <= set(catalogue.names("loss"))
    resolved = resolve(tmp_path, "stages.sft.loss=polo-plugin-b/twin")
    assert resolved.recipe.stages["sft"].loss.qualified == "polo-plugin-b/twin"
    assert resolved.tree["stages"]["sft"]["loss"] == {"use": "polo-plugin-b/twin"}


def test_components_are_found_by_a_tag_under_the_names_that_a_recipe_may_write(install):
    ours = LOSS.format(name="twin").replace('build=":Mine"', 'build=":Mine", tags=("ours", "mine")')
    install("polo-plugin-a", "aa_plugin", ours)
    install("polo-plugin-b", "bb_plugin", LOSS.format(name="twin"))
    install("polo-plugin-c", "cc_plugin", ours.replace("twin", "single"))
    catalogue = load_plugins().catalogue
    assert catalogue.tagged("loss", "ours") == ["single", "polo-plugin-a/twin"]
    assert catalogue.tagged("loss", "our") == catalogue.tagged("beta", "ours") == []


def test_a_local_plugin_cannot_shadow_polo_itself(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(LOSS.format(name="policy").replace("polo_loss_heads", "polo_scorers"))
    catalogue = load_plugins(files=[path]).catalogue
    with pytest.raises(InputError, match="2 plugins provide the scorer 'policy'"):
        catalogue.find("scorer", "policy")
    assert catalogue.find("scorer", "polo-rec/policy").dist == "polo-rec"


@pytest.mark.parametrize("name", ["polo-plugin-a", "Polo_Plugin.A", "aa_plugin"])
def test_blocking_by_distribution_or_entry(install, monkeypatch, name):
    install("polo-plugin-a", "aa_plugin", "raise RuntimeError('must not be imported')")
    assert record(load_plugins(disable=[name]), "aa_plugin").status == "blocked"
    monkeypatch.setenv("POLO_DISABLE_PLUGINS", f"other, {name}")
    assert record(load_plugins(), "aa_plugin").error == "POLO_DISABLE_PLUGINS"


def test_the_allow_list_is_beside_polos_own(install, monkeypatch):
    install("polo-plugin-a", "aa_plugin", LOSS.format(name="aa"))
    install("polo-plugin-b", "bb_plugin", LOSS.format(name="bb"))

    def working() -> set[str]:
        return {item.dist for item in load_plugins().records if item.status == "ok"}

    assert working() == {"polo-rec", "polo-plugin-a", "polo-plugin-b"}
    monkeypatch.setenv("POLO_PLUGINS", "polo-plugin-b")
    assert working() == {"polo-rec", "polo-plugin-b"}
    monkeypatch.setenv("POLO_PLUGINS", "")
    assert working() == {"polo-rec"}
    assert {item.dist for item in load_plugins(only=["aa_plugin"]).records if item.status == "ok"} == {
        "polo-rec", "polo-plugin-a",
    }  # fmt: skip


def test_a_blocked_plugin_is_named_where_it_is_missed(install, tmp_path, monkeypatch):
    install("polo-plugin-a", "aa_plugin", LOSS.format(name="theirs"))
    monkeypatch.setenv("POLO_DISABLE_PLUGINS", "polo-plugin-a")
    with pytest.raises(RecipeError, match=r"may provide it, but is blocked \(POLO_DISABLE_PLUGINS\)"):
        resolve(tmp_path, "stages.sft.loss=theirs")


def test_leaving_out_what_does_not_exist_is_an_error():
    with pytest.raises(InputError, match="did you mean 'polo_core'"):
        load_plugins(disable=["polo_cor"])


def test_a_local_file_finds_itself_by_stem_and_by_colon(tmp_path):
    for target in (":Mine", "my-sampler:Mine"):
        found = local(tmp_path, LOSS.format(name="mine").replace(":Mine", target), "my-sampler.py")
        assert found.status == "ok", found.error
        assert found.resolve(target).__name__ == "Mine"
        assert (found.dist, found.local) == ("my-sampler.py", True)


def test_two_local_files_of_one_name_do_not_meet(tmp_path):
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / "mine.py")
        paths[-1].write_text(LOSS.format(name=name))
    plugins = load_plugins(files=paths)
    built = [plugins.catalogue.find("loss", name).load_build() for name in ("a", "b")]
    assert built[0] is not built[1]


def test_a_local_file_is_loaded_once_and_keeps_its_classes(tmp_path):
    first, second = load_plugins(files=[TOY, TOY]), load_plugins(files=[TOY])
    assert sum(item.local for item in first.records) == 1
    one, two = (plugins.catalogue.find("data", "toy_data").load_options() for plugins in (first, second))
    assert one is two


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("nosuch.py", "does not exist"), (".", "is a folder"),
        ("x" * 5000, "cannot be read"), ("a\0b", "cannot be read"),
    ],
)  # fmt: skip
def test_a_local_file_that_is_none(tmp_path, path, what):
    with pytest.raises(InputError, match=what):
        load_plugins(files=[tmp_path / path])


def test_functions_without_marker_are_warned_of(tmp_path):
    code = "from polo import hookimpl\ndef polo_loss_heads(): return []\n@hookimpl\ndef polo_recipes(): return []\n"
    found = local(tmp_path, code)
    assert found.status == "ok"
    assert found.warnings == ("function 'polo_loss_heads' has no @polo.hookimpl and is never called",)


def test_events_reach_plugins_with_any_subset_of_arguments(tmp_path):
    path = tmp_path / "watch.py"
    path.write_text(
        "from polo import hookimpl\nseen = []\n"
        "@hookimpl\ndef polo_step_ended(step, stage): seen.append((stage, step))\n"
    )
    plugins = load_plugins(files=[path])
    plugins.manager.hook.polo_step_ended(stage="sft", step=3, metrics={})
    assert plugins.records[-1].resolve(":seen") == [("sft", 3)]


def test_components_whose_import_strings_lead_nowhere_are_told_when_used(tmp_path):
    options = LOSS.format(name="mine").replace('":Mine"', '"no_such_module_x:Mine", options=":Mine"')
    path = write(tmp_path, options, "mine.py")
    entry = load_plugins(files=[path]).catalogue.find("loss", "mine")
    with pytest.raises(InputError, match="cannot import build 'no_such_module_x:Mine': ModuleNotFoundError"):
        entry.load_build()
    with pytest.raises(InputError, match="is no dataclass"):
        entry.load_options()
    with pytest.raises(RecipeError, match=r"toy.yaml:7:15"):
        resolve_with(tmp_path, path)


def resolve_with(tmp_path: Path, path: Path):
    return resolve(tmp_path, text=RECIPE.replace("toy_bare", "mine") + f"plugins: [{path}]\n")


def test_listing_and_checking_load_no_torch():
    code = (
        "import sys; from polo.plugin.load import load_plugins; c = load_plugins().catalogue\n"
        "from polo.plugin.component import KINDS\n"
        "[entry.load_options() for kind in KINDS for entry in c.entries(kind)]\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module",
    ["recipe.options", "recipe.fields", "plugin.catalogue", "plugin.load", "plugin.hookspecs", "recipe.loading", "cli"],
)
def test_every_module_can_be_imported_first(module):
    subprocess.run([sys.executable, "-c", f"import polo.{module}"], check=True, capture_output=True)
