"""The recipes that come with polo: every one validates, composes, and keeps its objective under every profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from polo.plugin.load import load_plugins
from polo.recipe import load
from polo.recipe.model import Resolved
from polo.run.opening import named
from polo.run.run import Run
from tests.pairs import text_rows, write
from tests.real_data import real_data

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.yaml"))
PLUGINS = load_plugins()
#: a world of a few rows in place of the recipe's data
SMALL = (
    "data={use: demo, items: 120, users: 12, shortest: 8, longest: 12}",
    "candidates={n: 20, negatives: uniform}",
    "evaluate.scorer=policy",
    "device=cpu",
)
DEMOS = {"quickstart", "collapse_demo"}
VECTORS = {
    "ml100k_sasrec",
    "lastfm_sasrec",
    "beauty_tfllmer_sasrec",
    "ml1m_tfllmer_gru4rec",
    "beauty_drrl",
    "electronics_drrl_lightgcn",
}
#: rows with texts of their own: there is no catalogue, and no history to hide candidates from
OWN = {"chat_dpo", "chat_lpo", "dmpo_ml1m"}
#: name -> (loss, sampler, negatives, beta), as the papers have it
SYSTEMS = {
    "lastfm_dynamicpo": ("dmpo", "boundary", 19, "dual_margin"),
    "lastfm_sdpo": ("sdpo", "uniform", 3, 1.0),
    "lastfm_dmpo": ("dmpo", "uniform", 15, 1.0),
    "lastfm_mppo": ("mppo", "uniform", 15, 1.0),
    "lastfm_lpo": ("lpo", "uniform", 1, 0.2),
    "ml100k_dynamicpo": ("dmpo", "boundary", 19, "dual_margin"),
    "ml100k_simpo": ("simpo", "uniform", 1, 2.0),
    "ml100k_sdpo": ("sdpo", "uniform", 3, 1.0),
    "ml100k_dmpo": ("dmpo", "uniform", 15, 1.0),
    "goodreads_dynamicpo": ("dmpo", "boundary", 19, "dual_margin"),
    "steam_dynamicpo": ("dmpo", "boundary", 19, "dual_margin"),
}


def resolve(path: Path, profile: str, *overrides: str) -> Resolved:
    return load(path, overrides=overrides, profile=profile, plugins=PLUGINS, gpu=False)


def of_vectors(path: Path) -> bool:
    """Whether the policy is no text policy: it trains as it is on a CPU, and has no prompt."""
    return path.stem in VECTORS


def profiles(path: Path) -> list[str]:
    found = ["none"] if path.stem in DEMOS or of_vectors(path) else ["none", "cpu"]
    return [*found, "sasrec"] if path.stem == "ml100k_all" else found


CASES = [pytest.param(path, profile, id=f"{path.stem}-{profile}") for path in RECIPES for profile in profiles(path)]


def test_there_is_a_recipe_for_every_published_system() -> None:
    assert set(SYSTEMS) <= {path.stem for path in RECIPES}


@pytest.mark.parametrize(("path", "profile"), CASES)
def test_a_recipe_validates_and_is_called_like_its_file(path: Path, profile: str) -> None:
    resolved = resolve(path, profile)
    assert resolved.recipe.name == path.stem
    assert resolved.profile == (None if profile == "none" else profile)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# "), "`polo ls recipes` shows the first comment"


@pytest.mark.parametrize(("path", "profile"), CASES)
def test_sampler_beta_loss_policy_and_reference_of_a_recipe_fit_together(
    path: Path, profile: str, tmp_path: Path
) -> None:
    hidden = () if of_vectors(path) or profile == "sasrec" else ("policy.prompt.candidates=hidden",)
    small = (*SMALL, *hidden)
    if path.stem in OWN:
        pairs = write(tmp_path / "pairs.jsonl", text_rows(30))
        small = (f"data={{use: preferences, train: {pairs}, test: null}}", "device=cpu")
    resolved = resolve(path, profile, *small)
    ready = Run(named(resolved), PLUGINS).prepare()
    assert list(ready.objectives.values())[-1].needs("reference") == (resolved.recipe.reference != "none")
    assert all(len(rows) for rows in ready.train.values())


@pytest.mark.parametrize("path", [path for path in RECIPES if "cpu" in profiles(path)], ids=lambda path: path.stem)
def test_the_cpu_profile_changes_the_model_and_the_schedule_but_not_the_objective(path: Path) -> None:
    whole, small = (resolve(path, profile).tree for profile in ("none", "cpu"))
    assert small["policy"]["base"]["use"] == "tiny_lm"
    if path.stem not in OWN:
        assert small["policy"]["prompt"]["candidates"] == "hidden"
    assert (small["data"], small["candidates"], small["reference"]) == (
        whole["data"], whole["candidates"], whole["reference"],
    )  # fmt: skip
    for stage in whole["stages"]:
        for key in ("loss", "sampler", "beta", "batch"):
            assert small["stages"][stage][key] == whole["stages"][stage][key], (stage, key)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_has_the_objective_of_its_paper(name: str) -> None:
    path = next(path for path in RECIPES if path.stem == name)
    prefer = resolve(path, "none").tree["stages"]["prefer"]
    loss, sampler, k, beta = SYSTEMS[name]
    assert (prefer["loss"]["use"], prefer["sampler"]["use"]) == (loss, sampler)
    assert prefer["sampler"].get("from", prefer["sampler"])["k"] == k
    if isinstance(beta, float):
        assert (prefer["beta"]["use"], prefer["beta"]["value"]) == ("fixed", beta)
    else:
        assert (prefer["beta"]["use"], prefer["beta"]["margin"]) == (beta, 6.0)
    assert prefer["lr"] == 1e-5


@pytest.mark.parametrize("name", ["lastfm_lpo", "chat_lpo"])
def test_lpo_has_the_settings_of_the_released_run_scripts(name: str) -> None:
    path = next(path for path in RECIPES if path.stem == name)
    prefer = resolve(path, "none").tree["stages"]["prefer"]
    loss = prefer["loss"]
    assert prefer["beta"]["value"] == 0.2
    assert (loss["r1"], loss["r2"], loss["regulariser"], loss["length"]) == (1.0, 0.2, 10.0, "mean")


def test_lpo_on_chats_leaves_out_what_the_reference_separates_by_two_nats_a_token() -> None:
    path = next(path for path in RECIPES if path.stem == "chat_lpo")
    sampler = resolve(path, "none").tree["stages"]["prefer"]["sampler"]
    assert sampler == {"use": "reference_margin", "from": {"use": "given", "k": None}, "most": 2.0, "length": "mean"}


def test_the_policies_of_one_table_are_measured_on_the_same_rows_and_lists() -> None:
    path = next(path for path in RECIPES if path.stem == "ml100k_all")
    trees = [resolve(path, profile).tree for profile in ("none", "cpu", "sasrec")]
    for tree in trees[1:]:
        assert all(tree[key] == trees[0][key] for key in ("data", "candidates", "evaluate"))
    assert [tree["policy"]["use"] for tree in trees] == ["causal_lm", "causal_lm", "sasrec"]


@pytest.mark.parametrize(("name", "users"), [("beauty_drrl", 7068), ("electronics_drrl_lightgcn", 13_455)])
def test_recipes_of_sets_compose_on_the_published_files(name: str, users: int) -> None:
    path = Path(real_data("drrl-iid")) / ("amazonBeauty" if name == "beauty_drrl" else "amazonElectronics")
    recipe = next(one for one in RECIPES if one.stem == name)
    ready = Run(named(resolve(recipe, "none", f"data.path={path}", "device=cpu")), PLUGINS).prepare()
    assert (len(ready.test), ready.test.history.shape[1]) == (users, 0)
    assert ready.test.relevant is not None
