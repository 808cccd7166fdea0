"""The real vLLM against transformers, in float32 on this CPU: every sum within 1e-4 nats.

Sums of up to a dozen log-probabilities of a small model differ by some 1e-5 between two orders of addition.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers.convert_slow_tokenizer import bytes_to_unicode

from polo import InputError, PoloError, Ragged
from polo_vllm.child import Workers
from polo_vllm.options import VLLMOptions
from polo_vllm.own import own_scores
from polo_vllm.scorer import VLLMScorer
from polo_vllm.work import Work
from polo_vllm.worker.engine import Engine
from polo_vllm.worker.files import JobFolder, Row
from polo_vllm.worker.probe import choose
from polo_vllm.worker.strategies import STRATEGIES
from tests.polo_vllm import world

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here"),
]
CLOSE = 1e-4
BLOCK = 32


@pytest.fixture(scope="module")
def expected(policy: Any) -> np.ndarray:
    rows = world.rows(64)
    return own_scores(policy, rows, rows.candidates)


def settings(base: Path) -> dict[str, Any]:
    return {
        "model": str(base), "tokenizer": None, "rank": None, "dtype": "float32", "max_model_len": 256,
        "block_size": BLOCK, "gpu_memory_utilization": 0.5, "batched_tokens": None, "eager": True,
        "tensor_parallel": 1, "cpu_cache_gib": 1,
    }  # fmt: skip


class TestBase:
    """One engine without adapters, asked directly with token ids."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, base: Path) -> Iterator[Engine]:
        made = Engine(settings(base))
        yield made
        made.close()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, base: Path) -> Any:
        return transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()

    @pytest.mark.parametrize("name", list(STRATEGIES))
    def test_sums_are_those_of_transformers_at_and_around_block_boundaries(
        self, engine: Engine, model: Any, name: str
    ) -> None:
        """Prompts of k * 32 - 1, k * 32 and k * 32 + 1 tokens, twice, so that the second time all are in the cache.

        The titles: one is the beginning of another, one holds token 0 (which pads the sampler's answers), one is longer
        than a block, and one comes twice.
        """
        rng = np.random.default_rng(0)
        long = rng.integers(3, world.VOCAB, 40).tolist()
        titles = [[9, 2], [9, 10, 2], [9, 10, 11, 2], [0, 2], [0, 0, 7, 2], [2], [*long, 2], [*long[:35], 2], [9, 2]]
        rows = [
            Row(i, rng.integers(3, world.VOCAB, length).tolist(), titles)
            for i, length in enumerate([31, 32, 33, 63, 64, 65, 95, 96, 97, 128, 1, 2])
        ]
        strategy = STRATEGIES[name](engine)
        engine.forget()
        for _ in range(2):
            for row, found in zip(rows, strategy.score(rows), strict=True):
                assert found == pytest.approx(world.exact(model, row), abs=CLOSE)
        assert name == "trie" or strategy.repeated > 0

    def test_more_children_than_one_question_may_have(self, engine: Engine, model: Any) -> None:
        row = Row(0, list(range(3, 53)), [[token, 2] for token in range(3, 303)])
        assert STRATEGIES["trie"](engine).score([row])[0] == pytest.approx(world.exact(model, row), abs=CLOSE)

    def test_the_prompt_is_computed_once_for_all_candidates(self, engine: Engine) -> None:
        """The second request of one call finds the 96 tokens of three whole blocks that the first has filled."""
        engine.forget()
        prompt = np.random.default_rng(5).integers(3, world.VOCAB, 100).tolist()
        found = engine.prompt_logprobs([[*prompt, 5], [*prompt, 6]], use_cache=True)
        assert [cached for cached, _ in found] == [0, 96]

    def test_the_probe_finds_both_ways_equal_and_takes_one(self, engine: Engine) -> None:
        rng = np.random.default_rng(1)
        rows = [Row(i, rng.integers(3, world.VOCAB, 70).tolist(), [[5, 2], [6, 7, 2]]) for i in range(4)]
        choice = choose(engine, rows, "auto", 1e-3)
        assert choice.strategy in STRATEGIES
        assert "rows/s" in choice.reason


@pytest.fixture(scope="module")
def scorer(place: Path) -> Iterator[VLLMScorer]:
    """One for all tests with adapters applied by vLLM: they share its engine."""
    options = VLLMOptions(check_rows=8, part_rows=16, block_size=BLOCK, max_model_len=256)
    made = VLLMScorer(options, world.context(place / "cache"))
    yield made
    made.close()


def test_with_adapters_on_the_fly(scorer: VLLMScorer, policy: Any, expected: np.ndarray, place: Path) -> None:
    rows = world.rows(64)
    scores, tokens = scorer.score(policy, rows, rows.candidates)
    assert np.abs(scores - expected).max() < CLOSE
    assert tokens.tolist() == policy.tokens(torch.from_numpy(rows.candidates)).tolist()
    assert (scorer.report["strategy"], scorer.report["rows"]) == ("trie", 64)
    assert scorer.report["parity"]["rows"] == 8
    assert scorer.report["parity"]["max_difference"] < CLOSE
    assert json.loads(json.dumps(scorer.report)) == scorer.report
    assert list((place / "cache" / "vllm").iterdir()) == []


def test_adapters_matter_and_new_ones_take_the_place_of_old_ones(
    scorer: VLLMScorer, policy: Any, expected: np.ndarray
) -> None:
    rows = world.rows(64)
    state = {name: value.clone() for name, value in policy.state_dict().items()}
    try:
        policy.load_state_dict({name: value * 0.5 for name, value in state.items()})
        own = own_scores(policy, rows, rows.candidates)
        scores, _ = scorer.score(policy, rows, rows.candidates)
    finally:
        policy.load_state_dict(state)
    assert np.abs(scores - own).max() < CLOSE
    assert np.abs(scores - expected).max() > 0.1
    again, _ = scorer.score(policy, rows, rows.candidates)
    assert np.abs(again - expected).max() < CLOSE


def test_greedy_completions_are_the_policys(scorer: VLLMScorer, policy: Any) -> None:
    rows = world.rows(20)
    assert scorer.generate(policy, rows, 12) == policy.generate(rows, 12)


def test_the_search_over_vllm_finds_what_the_policy_finds(scorer: VLLMScorer, policy: Any, place: Path) -> None:
    """In this process with adapters on the fly, and in a child that is asked line by line with merged ones."""
    rows, known = world.rows(6), Ragged.of([[1], [], [0, 4, 7], [], list(range(8)), [11]])
    own = policy.top_items(rows, 5, without=known)
    child = VLLMScorer(VLLMOptions(process="child", lora="merge", block_size=BLOCK), world.context(place / "child"))
    for made in (scorer, child):
        found = made.top_items(policy, rows, 5, without=known)
        assert found.items.tolist() == own.items.tolist()
        assert found.proven.all()
        there = own.items >= 0
        assert np.abs(found.scores[there] - own.scores[there]).max() < CLOSE
    few = scorer.top_items(policy, rows, 5, without=known, nodes=3)
    assert not few.proven.all()
    assert (few.items[few.proven] == own.items[few.proven]).all()
    assert list((place / "child" / "vllm").iterdir()) == []


def spelt(tokenizer: Any) -> list[bytes]:
    """What each token of a byte-level vocabulary spells; marks spell nothing."""
    letters = {letter: byte for byte, letter in bytes_to_unicode().items()}
    words = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    return [b"" if i in tokenizer.all_special_ids else bytes(letters[c] for c in word) for i, word in enumerate(words)]


def test_a_choice_is_what_greedy_decoding_writes_when_only_candidates_may_be_written(
    scorer: VLLMScorer, policy: Any, expected: np.ndarray
) -> None:
    """Judge: transformers, token by token, over all tokens that lead on to a candidate, and the end where one ends.

    It is another decision than the best score: on these random weights the two differ in some rows.
    """
    rows = world.rows(16)
    assert rows.candidates is not None
    tokens, end = spelt(policy.texts.tokenizer), policy.texts.end
    judged = []
    for i, prompt in enumerate(policy.texts.prompts(rows)):
        words = [text.encode() for text in policy.texts.words(rows.candidates[i])]
        ids, written = prompt.tolist(), b""
        while True:
            with torch.no_grad():
                logits = policy.model(torch.tensor([ids])).logits[0, -1].double()
            allowed = [t for t, s in enumerate(tokens) if s and any(w.startswith(written + s) for w in words)]
            allowed += [end] if written in words else []
            best = max(allowed, key=lambda token: float(logits[token]))
            if best == end:
                break
            ids, written = [*ids, best], written + tokens[best]
        judged.append(words.index(written))
    chosen = scorer.choose(policy, rows, rows.candidates)
    assert chosen.tolist() == judged
    assert (chosen != expected[:16].argmax(axis=1)).any()


def test_work_that_was_interrupted_goes_on_with_the_parts_that_are_there(
    policy: Any, expected: np.ndarray, place: Path, scorer: VLLMScorer
) -> None:
    rows, said = world.rows(64), []

    def interrupt(iterable: Any, total: Any = None, label: str = "") -> Any:
        for i in iterable:
            if i == 3:
                raise KeyboardInterrupt
            yield i

    made = VLLMScorer(scorer.options, world.context(place / "cut", said, interrupt))
    made._engine = scorer._engine
    with pytest.raises(KeyboardInterrupt):
        made.score(policy, rows, rows.candidates)
    made = VLLMScorer(scorer.options, world.context(place / "cut", said))
    made._engine = scorer._engine
    scores, _ = made.score(policy, rows, rows.candidates)
    assert any("3 of 5 parts are there" in line for line in said)
    assert np.abs(scores - expected).max() < CLOSE


def test_scores_beyond_the_tolerance_end_the_evaluation_and_are_not_kept(
    policy: Any, place: Path, scorer: VLLMScorer
) -> None:
    options = VLLMOptions(tolerance=1e-12, part_rows=16, block_size=BLOCK, max_model_len=256)
    made = VLLMScorer(options, world.context(place / "strict"))
    made._engine = scorer._engine
    rows = world.rows(64)
    with pytest.raises(PoloError, match="not the policy's"):
        made.score(policy, rows, rows.candidates)
    assert not list((place / "strict").rglob("part-*.parquet")) or not list(
        (place / "strict").rglob("scores/*.parquet")
    )


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_with_merged_adapters(policy: Any, expected: np.ndarray, tmp_path: Path, strategy: Any) -> None:
    options = VLLMOptions(strategy=strategy, lora="merge", part_rows=32, block_size=BLOCK)
    made = VLLMScorer(options, world.context(tmp_path))
    rows = world.rows(64)
    try:
        scores, _ = made.score(policy, rows, rows.candidates)
    finally:
        made.close()
    assert np.abs(scores - expected).max() < CLOSE
    assert made.report["strategy"] == strategy


def test_titles_that_tokenise_differently_after_a_prompt_are_scored_as_the_policy_reads_them(tmp_path: Path) -> None:
    """A tokenizer that would join the end of the prompt with the title: ids are handed on, so nobody joins anything."""
    policy = world.policy(world.base(tmp_path / "base", joining=True), tmp_path)
    rows, texts = world.rows(8), policy.texts
    assert rows.candidates is not None
    prompt = texts.prompts(rows)[0]
    whole = [texts.tokenizer.decode(prompt) + words for words in texts.words(np.arange(len(world.TITLES)))]
    joined = texts.tokenizer(whole, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    own = [[*prompt.tolist(), *title[:-1].tolist()] for title in texts.titles]
    assert any(a != b for a, b in zip(joined, own, strict=True)), "this tokenizer joins nothing: the test shows nothing"
    made = VLLMScorer(VLLMOptions(block_size=BLOCK), world.context(tmp_path / "cache"))
    try:
        scores, _ = made.score(policy, rows, rows.candidates)
    finally:
        made.close()
    assert np.abs(scores - own_scores(policy, rows, rows.candidates)).max() < CLOSE


def test_rows_may_be_as_long_as_the_limit_and_no_longer(policy: Any, expected: np.ndarray, tmp_path: Path) -> None:
    rows = world.rows(64)
    longest = Work.of(policy, rows, rows.candidates, np.arange(32), 32).longest

    def scores(limit: int, strategy: Any = "auto") -> np.ndarray:
        options = VLLMOptions(max_model_len=limit, strategy=strategy, lora="merge", block_size=BLOCK)
        made = VLLMScorer(options, world.context(tmp_path))
        try:
            return made.score(policy, rows, rows.candidates)[0]
        finally:
            made.close()

    assert np.abs(scores(longest) - expected).max() < CLOSE
    with pytest.raises(InputError, match="needs a token more"):
        scores(longest, "prompt_logprobs")
    with pytest.raises(InputError, match="the limit is"):
        scores(longest - 1)


def test_prompt_logprobs_with_adapters_on_a_cpu_is_refused_before_anything_is_queued(
    policy: Any, place: Path, scorer: VLLMScorer
) -> None:
    options = VLLMOptions(strategy="prompt_logprobs", lora="request", block_size=BLOCK, max_model_len=256)
    made = VLLMScorer(options, world.context(place))
    rows = world.rows(4)
    try:
        with pytest.raises(PoloError, match="no prompt_logprobs with adapters"):
            made.score(policy, rows, rows.candidates)
    finally:
        made.close()


def test_a_killed_child_is_one_error_and_a_new_one_does_the_rest(
    policy: Any, base: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    rows = world.rows(64)
    job = JobFolder(tmp_path / "job")
    policy.export(tmp_path / "merged")
    plan = Work.of(policy, rows, rows.candidates, np.arange(4), part_rows=4)
    engine = {**settings(base), "model": str(tmp_path / "merged")}
    plan.write(job, {"task": "score", "strategy": "trie", "tolerance": 1e-3, "adapter": None, "engine": engine})

    def run(kill_after: int | None) -> int:
        done = 0
        with Workers(job.path, None, 1, 1) as workers:
            for event in workers.events():
                done += "part" in event
                if done == kill_after:
                    os.kill(workers.pids[0], signal.SIGKILL)
        return done

    with pytest.raises(PoloError, match="was killed by signal 9"):
        run(2)
    there = {path: path.stat().st_mtime_ns for path in (job.path / "scores").glob("part-*")}
    assert 2 <= len(there) < 16
    assert run(None) == 16 - len(there)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in there.items())
    scores = np.empty(expected.shape)
    for part in range(plan.parts):
        columns, _ = job.part(part)
        scores[columns["row"]] = columns["scores"]
    assert np.abs(scores - expected).max() < CLOSE


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed here")
def test_two_actors_of_a_local_ray_cluster_do_what_one_engine_does(
    policy: Any, expected: np.ndarray, tmp_path: Path
) -> None:
    options = VLLMOptions(process="ray", engines=2, part_rows=16, block_size=BLOCK)
    rows = world.rows(64)
    made = VLLMScorer(options, world.context(tmp_path))
    scores, _ = made.score(policy, rows, rows.candidates)
    assert np.abs(scores - expected).max() < CLOSE
    assert made.report["parity"]["rows"] == 32


RECIPE = """\
polo: 1
name: toy
data: {use: demo, items: 120, users: 60, shortest: 8, longest: 12}
candidates: {n: 10, negatives: uniform}
policy:
  use: causal_lm
  base: {use: tiny_lm, hidden: 64, layers: 1, heads: 2, vocab: 400, epochs: 1}
  lora: {r: 4, dropout: 0.0}
reference: base
stages:
  prefer: {sampler: {use: uniform, k: 4}, loss: sdpo, steps: 3, lr: 1e-3, batch: 16, validate: {rows: 20}}
evaluate:
  evaluators: [{use: hit_ratio, k: [1, 5]}, mrr, valid_ratio]
  baselines: []
  rows: 40
  scorer: {use: vllm}
"""


def test_from_recipe_to_results_and_again_in_two_children_with_the_numbers_of_the_policy(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(RECIPE)
    environment = {**os.environ, "POLO_CACHE": str(tmp_path / "cache")}

    def said(*words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "polo", *words]
        done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def polo(*words: str) -> tuple[str, dict[str, Any]]:
        done = said(*words)
        folder = Path(done.stdout.strip().splitlines()[-1])
        found: dict[str, Any] = json.loads((folder / "results.json").read_text())["systems"]["model"]
        return f"{folder}", {"said": done.stderr, "found": found}

    folder, here = polo("run", "toy.yaml")
    assert "32 rows scored by the policy too" in here["said"]
    assert "valid_ratio" in here["found"]
    _, child = polo(
        "eval", folder, f"evaluate.scorer={{use: vllm, python: {sys.executable}, part_rows: 8, engines: 2}}"
    )
    _, own = polo("eval", folder, "evaluate.scorer=policy")
    assert here["found"] == child["found"] == own["found"]
    (_, over), (_, plain) = (
        polo("eval", folder, f"evaluate.scorer={{use: calibrated, from: {use}}}") for use in ("vllm", "policy")
    )
    assert over["found"] == plain["found"] != own["found"]
    assert list((tmp_path / "cache" / "vllm").iterdir()) == []
    # the same model recommends, found by the search over either engine
    example = json.loads((Path(folder) / "eval" / "examples.json").read_text())[0]
    words = ("recommend", folder, "--json", "--history", "; ".join(example["history"]))
    found, same = (json.loads(said(*words, *more).stdout) for more in ((), ("--scorer", "vllm")))
    assert (found["among"], same["among"]) == ("all texts", "all texts")
    assert [one["title"] for one in found["ranked"]] == [one["title"] for one in same["ranked"]]
    assert all(one["proven"] for one in same["ranked"])
    stopped = json.loads(said(*words, "--scorer", "vllm", "--nodes", "2").stdout)["ranked"]
    assert not all(one["proven"] for one in stopped)
    # ranked by either engine, and vLLM decodes one of the titles that may be written
    titles = [candidate["title"] for candidate in example["candidates"]]
    (tmp_path / "titles.txt").write_text("\n".join(titles), encoding="utf-8")
    words = ("recommend", folder, "--json", "--history", "; ".join(example["history"]), "--candidates", "titles.txt")
    ranked, same = (json.loads(said(*words, *more).stdout)["ranked"] for more in ((), ("--scorer", "vllm")))
    assert [one["title"] for one in ranked] == [one["title"] for one in same]
    assert json.loads(said(*words, "--scorer", "vllm", "--decode").stdout)["decoded"] in titles
