"""The policy as the engine uses it: scores, counts, keys, files, and what it says about bad input."""

from __future__ import annotations

import json
import re
import shutil
import typing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers

from polo import Advises, InputError, Trouble
from polo.protocols import ScoresMany
from polo_causal_lm.engines.packed import Packed
from polo_causal_lm.engines.split import Split
from polo_causal_lm.options import CausalLMOptions, HubOptions, LoraOptions, PromptOptions
from polo_causal_lm.policy import CausalLM
from polo_causal_lm.quiet import quiet
from tests.polo_causal_lm.world import TITLES, context, save_base, toy_rows, toy_splits


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "llama")


def policy(base: Path, tmp_path: Path, said: list[str] | None = None, **options: Any) -> CausalLM:
    made = CausalLM(CausalLMOptions(base=str(base), **options), context(tmp_path, said=said))
    made.module.eval()
    return made


def shake(made: CausalLM, seed: int = 3) -> None:
    """Adapters that do something."""
    with torch.no_grad():
        for p in made.state_dict().values():
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)) * 0.2)


def items(n: int, rows: int = 8) -> torch.Tensor:
    return torch.arange(rows * n).reshape(rows, n) % len(TITLES)


@pytest.mark.parametrize("engine", ["naive", "packed", "split"])
def test_scores_are_sums_of_log_probabilities_of_title_and_end_token(base: Path, tmp_path: Path, engine: Any) -> None:
    """Judged by a plain loop over tokens: one prompt, one title, no padding, transformers' own logits."""
    made = policy(base, tmp_path, engine=engine)
    shake(made)
    rows = toy_splits().train[np.arange(2)]
    found = made.score(rows, items(3, 2)).tolist()
    for b in range(2):
        for j in range(3):
            prompt, title = made.texts.prompts(rows)[b], made.texts.titles[int(items(3, 2)[b, j])]
            ids = torch.from_numpy(np.concatenate([prompt, title]))[None]
            logps = made.model(input_ids=ids).logits[0].detach().log_softmax(-1)
            expected = sum(float(logps[len(prompt) - 1 + t, token]) for t, token in enumerate(title))
            assert found[b][j] == pytest.approx(expected, abs=1e-4)
    assert made.tokens(items(3, 2))[0].tolist() == [len(made.texts.titles[i]) for i in (0, 1, 2)]
    assert made.engine == engine


def test_no_negatives_at_all_scores_the_target(base: Path, tmp_path: Path) -> None:
    made, rows = policy(base, tmp_path), toy_splits().train
    target = torch.from_numpy(rows.target)[:, None]
    assert made.score(rows, target).shape == (8, 1)


def test_a_wrapped_module_is_what_score_calls(base: Path, tmp_path: Path) -> None:
    class Wrapper(torch.nn.Module):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module, self.calls = module, 0

        def forward(self, layout: Any) -> torch.Tensor:
            self.calls += 1
            return self.module(layout)  # type: ignore[no-any-return]

    made, rows = policy(base, tmp_path), toy_splits().train
    plain = made.score(rows, items(2))
    made.module = wrapper = Wrapper(made.module)
    assert torch.equal(made.score(rows, items(2)), plain)
    assert wrapper.calls == 1


def test_ddp_can_wrap_the_module(base: Path, tmp_path: Path) -> None:
    import torch.distributed as dist

    made, rows = policy(base, tmp_path), toy_splits().train
    plain = made.score(rows, items(3))
    plain.sum().backward()
    expected = [p.grad.clone() for p in made.module.parameters() if p.grad is not None]
    made.module.zero_grad()
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        made.module = torch.nn.parallel.DistributedDataParallel(made.module)
        found = made.score(rows, items(3))
        found.sum().backward()
    finally:
        dist.destroy_process_group()
    assert torch.equal(found, plain)
    grads = [p.grad for p in made.module.parameters() if p.grad is not None]
    assert len(grads) == len(expected) == 28
    assert all(torch.equal(a, b) for a, b in zip(grads, expected, strict=True))


def everything(rows: int = 8, n: int = 130) -> torch.Tensor:
    """More items of each row than are scored beside one prompt; the toy titles again and again."""
    return (torch.arange(n) + torch.arange(rows)[:, None]) % len(TITLES)


@pytest.mark.parametrize("options", [{}, {"tree": "never"}, {"engine": "packed"}, {"engine": "naive"}], ids=str)
def test_long_lists_get_the_scores_of_short_ones_whatever_the_budget(
    base: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    made, rows = policy(base, tmp_path, **options), toy_splits().train[np.arange(2)]
    shake(made)
    few = made.score(rows, everything(2, len(TITLES))).detach()
    expected = few.repeat(1, 7)
    for budget in (10_000, 300, 1):
        found = made.score_many(rows, everything(2, 70), budget)
        assert not found.requires_grad
        torch.testing.assert_close(found, expected, atol=5e-5, rtol=0)


def test_the_tree_is_for_long_lists_unless_a_recipe_says_otherwise(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path)
    assert isinstance(made, ScoresMany)
    assert (made.tree, made.few, made.tree_reason) == (True, 64, "for more than 64 titles")
    assert policy(base, tmp_path, tree="always").few == 0
    assert not policy(base, tmp_path, tree="never").tree
    capped = policy(save_base(tmp_path / "gemma2", "gemma2"), tmp_path)
    assert not capped.tree
    assert "eager" in capped.tree_reason
    torch.testing.assert_close(
        capped.score_many(toy_splits().train, everything(), 500)[:, :10],
        capped.score(toy_splits().train, everything(n=10)),
        atol=5e-5,
        rtol=0,
    )


def test_a_wrapped_module_is_what_a_tree_is_scored_with(base: Path, tmp_path: Path) -> None:
    calls = []

    class Wrapper(torch.nn.Module):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, layout: Any) -> torch.Tensor:
            calls.append(int(layout.ids.numel()))
            return self.module(layout)  # type: ignore[no-any-return]

    made, rows = policy(base, tmp_path), toy_splits().train
    made.module = Wrapper(made.module)
    made.score_many(rows, everything(), 150)
    assert len(calls) > 1
    assert max(calls) <= 150


def test_a_bfloat16_policy_scores_short_and_long_lists_without_gradient(base: Path, tmp_path: Path) -> None:
    exact, rows = policy(base, tmp_path), toy_splits().train
    made = policy(base, tmp_path, dtype="bfloat16")
    weights = {p.dtype for p in made.module.parameters() if not p.requires_grad}
    assert weights == {torch.bfloat16}
    assert made.tree
    assert made.engine == "split"
    with torch.no_grad():
        short = made.score(rows, everything(n=10))
        expected = exact.score(rows, everything(n=10))
    long = made.score_many(rows, everything(), 300)[:, :10]
    assert short.dtype == long.dtype == torch.float32
    naive = policy(base, tmp_path, dtype="bfloat16", engine="naive")
    with torch.no_grad():
        off = float((naive.score(rows, everything(n=10)) - expected).abs().max())
    assert 0 < float((short - expected).abs().max()) < 2 * off
    assert 0 < float((long - expected).abs().max()) < 2 * off


def test_a_failing_check_of_the_tree_is_said_and_long_lists_are_scored_without_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polo_causal_lm.engines import tree_attention

    monkeypatch.setattr(tree_attention, "_some", lambda query, *others: query.transpose(0, 1))
    said: list[str] = []
    made = policy(base, tmp_path, said=said)
    assert (made.tree, made.engine) == (False, "split")
    assert "the tree differs from `naive`" in made.tree_reason
    assert any("64 titles at a time" in line for line in said)


def test_only_adapters_are_trained_and_every_linear_layer_has_one(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path)
    names = [n for n, p in made.module.named_parameters() if p.requires_grad]
    # 2 layers x 7 linear layers x 2 factors; the head has none
    assert len(names) == 28
    assert all("lora_" in n for n in names)
    made.score(toy_splits().train, items(3)).sum().backward()
    assert all(p.grad is not None for p in made.module.parameters() if p.requires_grad)


def test_saved_adapters_load_in_plain_peft_with_the_same_scores(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path, engine="naive")
    shake(made)
    folder = tmp_path / "saved"
    folder.mkdir()
    made.save(folder)
    assert {p.name for p in folder.iterdir()} >= {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"}
    with quiet():
        plain = transformers.AutoModelForCausalLM.from_pretrained(base)
        plain = peft.PeftModel.from_pretrained(plain, str(folder)).eval()
    layout = made.encode(toy_splits().train, items(2))
    logits = plain(input_ids=layout.ids, attention_mask=layout.mask, position_ids=layout.positions).logits
    mine = made.model(input_ids=layout.ids, attention_mask=layout.mask, position_ids=layout.positions).logits
    assert torch.equal(logits, mine)
    transformers.AutoTokenizer.from_pretrained(folder)


def test_save_and_load_restore_scores_exactly(base: Path, tmp_path: Path) -> None:
    made, rows = policy(base, tmp_path), toy_splits().train
    fresh = made.score(rows, items(2))
    shake(made)
    expected = made.score(rows, items(2))
    assert not torch.allclose(fresh, expected)
    (tmp_path / "a").mkdir()
    made.save(tmp_path / "a")
    other = policy(base, tmp_path)
    other.load(tmp_path / "a")
    assert torch.equal(other.score(rows, items(2)), expected)
    third = policy(base, tmp_path)
    third.load_state_dict(made.state_dict())
    assert torch.equal(third.score(rows, items(2)), expected)


def test_export_is_a_plain_model_with_the_same_scores(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path, engine="naive")
    shake(made)
    before = {n: p.clone() for n, p in made.module.named_parameters()}
    (tmp_path / "merged").mkdir()
    made.export(tmp_path / "merged")
    assert all(torch.equal(p, before[n]) for n, p in made.module.named_parameters()), "export works on a copy"
    merged = CausalLM(CausalLMOptions(base=str(tmp_path / "merged"), engine="naive"), context(tmp_path))
    merged.module.eval()
    rows = toy_splits().train
    torch.testing.assert_close(merged.score(rows, items(2)), made.score(rows, items(2)), atol=1e-4, rtol=1e-4)


def test_generation_is_greedy_and_does_not_depend_on_the_batch(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path)
    shake(made)
    rows = toy_splits().train
    together = made.generate(rows, max_new_tokens=5)
    assert len(together) == 8
    for i in range(3):
        one = rows[np.array([i])]
        ids = torch.from_numpy(made.texts.prompts(one)[0])[None]
        new: list[int] = []
        while len(new) < 5 and (not new or new[-1] != made.texts.end):
            new.append(int(made.model(input_ids=ids).logits[0, -1].argmax()))
            ids = torch.cat([ids, torch.tensor([[new[-1]]])], dim=1)
        assert together[i] == made.tokenizer.decode(new, skip_special_tokens=True).strip()


def test_dropout_is_on_in_training_mode_only(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path, lora=LoraOptions(dropout=0.5))
    shake(made)
    rows = toy_splits().train
    assert torch.equal(made.score(rows, items(2)), made.score(rows, items(2)))
    made.module.train()
    assert not torch.equal(made.score(rows, items(2)), made.score(rows, items(2)))


def test_rows_fit_if_the_prompt_and_the_longest_title_do(base: Path, tmp_path: Path) -> None:
    made, rows = policy(base, tmp_path), toy_splits().train
    need = made.prompt_lengths(rows) + int(made.texts.title_lengths.max())
    tight = policy(base, tmp_path, max_tokens=int(np.median(need)))
    assert tight.fits(rows).tolist() == (need <= int(np.median(need))).tolist()
    assert policy(base, tmp_path, max_tokens=100_000).max_tokens == 256, "never beyond what the model has positions for"


def test_it_says_which_of_its_options_mend_what(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path)
    assert isinstance(made, Advises)
    named = {trouble: re.findall(r"policy\.(\w+)", made.advice(trouble)) for trouble in typing.get_args(Trouble)}
    assert named == {"start": ["engine"], "fit": ["max_tokens"]}
    assert {name for names in named.values() for name in names} <= {field.name for field in fields(CausalLMOptions)}


def test_cost_is_the_flat_tokens_of_the_layout(base: Path, tmp_path: Path) -> None:
    made, rows = policy(base, tmp_path, engine="split"), toy_splits().train
    everything = torch.arange(len(TITLES)).expand(8, -1)
    assert int(made.cost(rows, len(TITLES)).sum()) == made.encode(rows, everything).ids.numel()


def test_keys_name_what_is_fed(base: Path, tmp_path: Path) -> None:
    made, rows = policy(base, tmp_path), toy_splits().train
    keys = made.keys(rows, items(3))
    assert all(len(key) == 16 for key in keys)
    assert keys == policy(base, tmp_path).keys(rows, items(3))
    assert len(set(keys)) == 8
    assert made.keys(rows, items(3).flip(1)) != keys
    assert made.keys(rows[np.array([4, 2])], items(3)[[4, 2]]) == [keys[4], keys[2]]
    # same prompt and items, another row number: the same computation
    assert made.keys(replace(rows, id=rows.id + 1000), items(3)) == keys


def test_the_fingerprint_changes_with_what_scores_depend_on_and_not_with_weights(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path)
    own = made.fingerprint()
    shake(made)
    assert made.fingerprint() == own == policy(base, tmp_path).fingerprint()
    others = [
        policy(base, tmp_path, engine="naive"),
        policy(base, tmp_path, dtype="float64"),
        policy(base, tmp_path, prompt=PromptOptions(header="Other words:")),
        policy(base, tmp_path, lora=LoraOptions(r=4)),
        policy(save_base(tmp_path / "other", "qwen3"), tmp_path),
    ]
    changed = context(tmp_path, splits=toy_splits(titles=[*TITLES[:-1], "Another"]))
    others.append(CausalLM(CausalLMOptions(base=str(base)), changed))
    prints = {other.fingerprint() for other in others}
    assert len(prints) == len(others)
    assert own not in prints


def test_shown_candidates_restrict_the_pool(base: Path, tmp_path: Path) -> None:
    shown = policy(base, tmp_path, prompt=PromptOptions(candidates="shown"))
    assert (shown.pool, policy(base, tmp_path).pool) == ("candidates", "catalogue")
    rows = toy_rows(4, candidates=5)
    assert rows.candidates is not None
    assert shown.score(rows, torch.from_numpy(rows.candidates)).shape == (4, 5)


def test_float64_scores_are_float64(base: Path, tmp_path: Path) -> None:
    assert policy(base, tmp_path, dtype="float64").score(toy_splits().train, items(2)).dtype == torch.float64


@pytest.mark.parametrize(("wrong", "taken"), [((Split,), "packed"), ((Split, Packed), "naive")])
def test_an_engine_that_is_wrong_is_said_and_the_next_slower_one_is_taken(
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: tuple[type[Split] | type[Packed], ...],
    taken: str,
) -> None:
    for engine in wrong:
        right = engine.scores
        monkeypatch.setattr(engine, "scores", lambda self, model, layout, right=right: right(self, model, layout) * 1.1)
    said: list[str] = []
    made = policy(base, tmp_path, said=said)
    assert made.engine == taken
    assert any("warning" in line and f"using engine `{taken}`" in line for line in said)
    for engine in wrong:
        assert f"engine `{engine.name}` differs" in made.engine_reason


# bad input


@pytest.mark.parametrize(
    ("missing", "named"),
    [("model.safetensors", "weights"), ("tokenizer.json", "tokenizer"), ("config.json", "config.json")],
)
def test_a_base_folder_that_lacks_a_file_is_refused_with_its_name(tmp_path: Path, missing: str, named: str) -> None:
    folder = save_base(tmp_path / "base")
    (folder / missing).unlink()
    with pytest.raises(InputError, match=named) as error:
        policy(folder, tmp_path)
    assert str(folder) in str(error.value)


def test_a_damaged_base_is_refused(tmp_path: Path) -> None:
    folder = save_base(tmp_path / "base")
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot load"):
        policy(folder, tmp_path)


@pytest.mark.parametrize("name", ["/no/such/folder", "./nor_this"])
def test_a_base_folder_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        CausalLM(CausalLMOptions(base=name), context(tmp_path))


def test_a_hub_id_without_network_is_refused_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="local folder"):
        CausalLM(CausalLMOptions(base="nobody/nothing"), context(tmp_path))


@pytest.mark.parametrize("targets", [("no_such_layer",), ("norm",)])
def test_lora_targets_that_match_nothing_usable_are_refused(base: Path, tmp_path: Path, targets: tuple[str]) -> None:
    with pytest.raises(InputError, match="q_proj"):
        policy(base, tmp_path, lora=LoraOptions(targets=targets))


def test_adapters_of_another_shape_missing_or_damaged_are_refused(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path)
    with pytest.raises(InputError, match=r"adapter_model\.safetensors"):
        made.load(tmp_path)
    (tmp_path / "a").mkdir()
    made.save(tmp_path / "a")
    with pytest.raises(InputError, match="other adapters"):
        policy(base, tmp_path, lora=LoraOptions(r=4, alpha=16.0)).load(tmp_path / "a")
    with pytest.raises(InputError, match="scales"):
        policy(base, tmp_path, lora=LoraOptions(alpha=1.0)).load(tmp_path / "a")
    weights = tmp_path / "a" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read"):
        made.load(tmp_path / "a")


def test_the_adapter_config_names_the_base(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path)
    (tmp_path / "a").mkdir()
    made.save(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)


def test_adapters_know_the_bytes_of_their_base_and_stand_on_no_other(base: Path, tmp_path: Path) -> None:
    """One bit of the weights differs: same options, same shapes, another base."""
    other = Path(shutil.copytree(base, tmp_path / "other"))
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(bytes(data))
    made, changed = policy(base, tmp_path), policy(other, tmp_path)
    folder = tmp_path / "a"
    folder.mkdir()
    made.save(folder)
    assert json.loads((folder / "base.json").read_text()) == {"sha256": made.base_hash()}
    with pytest.raises(InputError) as refused:
        changed.load(folder)
    assert f"sha256 {made.base_hash()} then, {changed.base_hash()} now" in str(refused.value)
    made.load(folder)
    (folder / "base.json").write_text("[]")
    with pytest.raises(InputError, match="on which base"):
        made.load(folder)
    (folder / "base.json").unlink()
    changed.load(folder)
    assert HubOptions(id="x").revision is None
