"""The scorer ``vllm``: hands token ids and a model folder to the worker, checks what comes back, returns it.

Scores are sums of log p(token | prompt, tokens before) over title and end token, in nats, as the policy's own.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from polo import Context, InputError, PoloError, Rows
from polo.protocols import Policy
from polo_vllm import check, work
from polo_vllm.child import INSTALL, Workers, interpreter
from polo_vllm.cluster import events as on_cluster
from polo_vllm.cluster import require_ray
from polo_vllm.model import Model, TextPolicy, prepare
from polo_vllm.options import VLLMOptions
from polo_vllm.own import aside, on_one_process, own_scores, text_policy
from polo_vllm.place import job_folder, temporary_model
from polo_vllm.worker.engine import Engine
from polo_vllm.worker.files import JobFolder
from polo_vllm.worker.run import work_off

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Event = Mapping[str, Any]
_WHERE = "evaluate.scorer"


class VLLMScorer:
    """Follows :class:`polo.protocols.Scorer`.

    Attributes:
        report: of the last call of :meth:`score`, for the run's results: ``engine``, ``vllm`` (version), ``strategy``,
            ``reason``, ``model``, ``dtype``, ``rows``, ``seconds``, ``requests``, ``repeated``, ``parity``.

    Raises:
        InputError: if vLLM is not where the options say.
    """

    def __init__(self, options: VLLMOptions, context: Context) -> None:
        self.options, self._context = options, context
        self.report: dict[str, Any] = {}
        self._root = context.cache / "vllm"
        self._engine: Engine | None = None
        if options.python is not None:
            interpreter(options.python)
        elif importlib.util.find_spec("vllm") is None:
            raise InputError(
                "vLLM is not installed here",
                where=_WHERE,
                fix=f"{INSTALL}, or name another environment's interpreter: "
                "evaluate.scorer={use: vllm, python: /path/to/bin/python}, or use evaluate.scorer=policy",
            )
        if options.process == "here" and (options.python or options.engines > 1):
            raise InputError(
                "`process: here` is one engine in this interpreter", where=_WHERE, fix="drop python and engines"
            )
        if options.process == "ray":
            require_ray()
            if options.python:
                raise InputError(
                    "Ray's actors run in the cluster's own environments",
                    where=_WHERE,
                    fix="drop python, or use process: child",
                )

    def score(self, policy: Policy, rows: Rows, candidates: IntArray) -> tuple[FloatArray, IntArray]:
        """Scores ``[N, n]`` in nats and tokens ``[N, n]``; the first users are scored by the policy too.

        Raises:
            InputError: if the policy is no text policy, or its adapters cannot be used.
            PoloError: if the engine fails, or its scores are not the policy's.
        """
        outcome = on_one_process(policy, lambda: (*self._score(policy, rows, candidates), self.report))
        scores, tokens, self.report = outcome
        return scores, tokens

    def generate(self, policy: Policy, rows: Rows, max_new_tokens: int = 20) -> list[str]:
        """Greedy completions of the prompts, as text without surrounding space: what ``policy.generate`` gives."""
        return on_one_process(policy, lambda: self._generate(policy, rows, max_new_tokens))

    # -- what is done ---------------------------------------------------------------------------------------------

    def _score(self, policy: Policy, rows: Rows, candidates: IntArray) -> tuple[FloatArray, IntArray]:
        text, options = text_policy(policy), self.options
        if not len(rows):
            return np.empty(candidates.shape), np.empty(candidates.shape, dtype=np.int64)
        dtype = self._dtype(text)
        tolerance = options.tolerance or check.TOLERANCE[dtype]
        checked = check.first_users(rows.user, options.check_rows)
        ours = own_scores(policy, rows[checked], candidates[checked])
        plan = work.Work.of(text, rows, candidates, checked, options.part_rows)
        scores = np.full(candidates.shape, np.nan)
        began = time.perf_counter()
        with temporary_model(self._root) as place, aside(policy, self._is_child):
            model = prepare(text, self._lora, place)
            name = work.key(policy.fingerprint(), model.digest, rows, candidates, options, "score")
            with job_folder(self._root, name) as folder:
                job = JobFolder(folder)
                strategy = self._strategy(text, plan)
                plan.write(job, {
                    "task": "score", "strategy": strategy, "tolerance": tolerance,
                    **self._settings(model, dtype, plan.longest + 1, text),
                })  # fmt: skip

                def insist() -> None:
                    work.gather(job, plan, 0, scores)
                    parity = check.compare(ours, scores[checked], tolerance / 5)
                    self.report["parity"] = check.as_report(parity, tolerance)
                    self._context.say(f"vllm: {parity.line()}")
                    _insist(job, parity, tolerance, options.agreement)

                self.report = {"engine": "vllm", "model": model.note, "dtype": dtype, "rows": len(rows)}
                self._run(job, insist)
                facts = [work.gather(job, plan, part, scores) for part in range(plan.parts)]
                self._sum_up(job, facts, time.perf_counter() - began)
        return scores, plan.lengths

    def _generate(self, policy: Policy, rows: Rows, most: int) -> list[str]:
        text = text_policy(policy)
        if not len(rows):
            return []
        ids = rows.target[:, None]
        plan = work.Work.of(text, rows, ids, np.arange(min(len(rows), self.options.part_rows)), self.options.part_rows)
        completions: dict[int, list[int]] = {}
        with temporary_model(self._root) as place, aside(policy, self._is_child):
            model = prepare(text, self.options.lora, place)
            task = f"generate {most}"
            name = work.key(policy.fingerprint(), model.digest, rows, ids, self.options, task)
            with job_folder(self._root, name) as folder:
                job = JobFolder(folder)
                longest = max(len(prompt) for prompt in plan.prompts) + most
                settings = self._settings(model, self._dtype(text), longest, text)
                plan.write(job, {"task": "generate", "most_tokens": most, "end": int(text.texts.end), **settings})
                self._run(job, lambda: None)
                for part in range(plan.parts):
                    columns, _ = job.part(part)
                    completions |= dict(zip(columns["row"], columns["completion"], strict=True))
        ordered = [completions[i] for i in range(len(rows))]
        return [t.strip() for t in text.texts.tokenizer.batch_decode(ordered, skip_special_tokens=True)]

    def _run(self, job: JobFolder, first_is_there: Callable[[], None]) -> None:
        """Has every part scored; calls back as soon as part 0 is there."""
        missing, total = job.missing(), job.settings()["parts"]
        if len(missing) < total:
            self._context.say(f"vllm: {total - len(missing)} of {total} parts are there from an earlier start")
        if 0 not in missing:
            first_is_there()
        ticks = iter(self._context.track(range(len(missing)), label="vllm"))
        next(ticks, None)

        def hear(event: Event) -> None:
            if "say" in event:
                self._context.say(f"vllm: {event['say']}")
            if "part" in event:
                if event["part"] == 0:
                    first_is_there()
                next(ticks, None)

        if not missing:
            return
        engines = min(self.options.engines, len(missing))
        if self.options.process == "ray":
            gpus = self.options.tensor_parallel if self._context.device.startswith("cuda") else 0
            for event in on_cluster(job, engines, gpus):
                hear(event)
        elif self._is_child:
            self._in_children(job, engines, hear)
        else:
            self._here(job, hear)
        left = job.missing()
        if left:
            raise PoloError(f"{len(left)} parts were left unscored", where=str(job.path), fix="start again")

    def _in_children(self, job: JobFolder, engines: int, hear: Callable[[Event], None]) -> None:
        with Workers(job.path, self.options.python, engines, self.options.tensor_parallel) as workers:
            for event in workers.events():
                hear(event)

    def _here(self, job: JobFolder, hear: Callable[[Event], None]) -> None:
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        try:
            work_off(job, tell=hear, start=self._kept)
        except PoloError:
            raise
        except Exception as error:
            # What vLLM throws is of any type; requests that failed would stay in this engine's queue.
            self.close()
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise PoloError(
                f"vLLM failed: {type(error).__name__}: {first}",
                where=_WHERE,
                fix="look at its messages with VLLM_LOGGING_LEVEL=INFO, or use evaluate.scorer=policy",
            ) from error

    def _kept(self, settings: Mapping[str, Any]) -> Engine:
        """The engine of this process: kept from stage to stage where only adapters change, and rows get no longer."""
        if self._engine is None or not self._engine.serves(settings):
            self.close()
            self._engine = Engine(settings)
        return self._engine

    def close(self) -> None:
        """Gives the memory of an engine in this process back."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    # -- what is decided ------------------------------------------------------------------------------------------

    @property
    def _is_child(self) -> bool:
        from accelerate import PartialState

        if self.options.process != "auto":
            return self.options.process != "here"
        alone = PartialState().num_processes == 1 and self.options.engines == 1
        return bool(self.options.python) or self._context.device.startswith("cuda") or not alone

    @property
    def _lora(self) -> Literal["auto", "request", "merge"]:
        # On a CPU vLLM returns no prompt_logprobs with adapters; where polo has a GPU, its vLLM has one too.
        merge = self.options.strategy == "prompt_logprobs" and not self._context.device.startswith("cuda")
        return "merge" if merge and self.options.lora == "auto" else self.options.lora

    def _dtype(self, policy: TextPolicy) -> str:
        if self.options.dtype != "auto":
            return self.options.dtype
        own = str(policy.dtype).removeprefix("torch.")
        return own if own in check.TOLERANCE else "float32"

    def _strategy(self, policy: TextPolicy, plan: work.Work) -> str:
        limit = self.options.max_model_len or work.position_limit(policy.base_path)
        if limit is not None and plan.longest > limit:
            raise InputError(
                f"the longest prompt with its longest title has {plan.longest} tokens, the limit is {limit}",
                where=_WHERE,
                fix="raise max_model_len, or lower policy.max_tokens",
            )
        if limit is not None and plan.longest == limit:
            # A request for prompt_logprobs holds the whole title and still has to generate one token.
            if self.options.strategy == "prompt_logprobs":
                raise InputError(
                    f"prompt_logprobs needs a token more than the longest row's {plan.longest}, the limit is {limit}",
                    where=_WHERE,
                    fix="use strategy: trie",
                )
            return "trie"
        return self.options.strategy

    def _settings(self, model: Model, dtype: str, longest: int, policy: TextPolicy) -> dict[str, Any]:
        options = self.options
        limit = work.position_limit(policy.base_path)
        engine = {
            "model": str(model.folder),
            "rank": model.rank,
            "dtype": dtype,
            "max_model_len": options.max_model_len or (longest if limit is None else min(longest, limit)),
            "block_size": options.block_size,
            "gpu_memory_utilization": options.gpu_memory_utilization,
            "batched_tokens": options.batched_tokens,
            "eager": options.eager,
            "tensor_parallel": options.tensor_parallel,
            "cpu_cache_gib": options.cpu_cache_gib,
        }
        return {"engine": engine, "adapter": None if model.adapter is None else str(model.adapter)}

    def _sum_up(self, job: JobFolder, facts: list[dict[str, str]], seconds: float) -> None:
        chosen = job.read_json("strategy.json")
        self.report |= {
            "vllm": facts[0]["vllm"],
            **chosen,
            "seconds": seconds,
            "seconds_scoring": sum(float(f["seconds"]) for f in facts),
            "requests": sum(int(f["requests"]) for f in facts),
            "repeated": sum(int(f["repeated"]) for f in facts),
        }
        # The order in which a reader looks for things; parity was found first.
        self.report["parity"] = self.report.pop("parity")


def _insist(job: JobFolder, parity: check.Parity, tolerance: float, agreement: float) -> None:
    try:
        check.insist(parity, tolerance, agreement)
    except PoloError:
        # Wrong scores must not be what a second start goes on from.
        for name in ("job.json", "strategy.json"):
            (job.path / name).unlink(missing_ok=True)
        for part in (job.path / "scores").glob("*.parquet"):
            part.unlink()
        raise
