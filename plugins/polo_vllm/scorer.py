"""The scorer ``vllm``: hands token ids and a model folder to the worker, checks what comes back, returns it.

Scores are sums of log p(token | prompt, tokens before) over title and end token, in nats, as the policy's own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from polo import Context, FloatArray, InputError, IntArray, Policy, PoloError, Ragged, Rows, Top
from polo_vllm import check, work
from polo_vllm.child import INSTALL, Workers, interpreter
from polo_vllm.cluster import events as on_cluster
from polo_vllm.cluster import require_ray
from polo_vllm.decided import Decided
from polo_vllm.finding import find_best
from polo_vllm.model import prepare
from polo_vllm.options import VLLMOptions
from polo_vllm.own import aside, on_one_process, own_scores, text_policy
from polo_vllm.place import job_folder, temporary_model
from polo_vllm.worker.engine import Engine
from polo_vllm.worker.files import JobFolder
from polo_vllm.worker.run import work_off

Event = Mapping[str, Any]
_WHERE = "evaluate.scorer"


class VLLMScorer:
    """Follows :class:`polo.protocols.Scorer` and, for serving, ``Chooses`` and ``FindsBest``.

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
        self._decided = Decided(options, context.device)
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

    def choose(self, policy: Policy, rows: Rows, candidates: IntArray) -> IntArray:
        """Which of ``candidates [N, n]`` greedy decoding arrives at when it may write nothing else: columns ``[N]``.

        vLLM's structured outputs, for serving one title quickly. It is another decision than the highest score: the
        token that is likeliest now may lead to titles that are unlikely as a whole. -1: the answer was no candidate.
        Of equal titles the first is meant.
        """
        return on_one_process(policy, lambda: self._choose(policy, rows, candidates))

    def top_items(
        self, policy: Policy, rows: Rows, k: int, *, without: Ragged | None = None, nodes: int | None = None
    ) -> Top:
        """The best k titles of the catalogue, by the policy's search over vLLM; see :mod:`polo_vllm.finding`.

        Equal to the policy's own search but for rounding: titles that are nearer than the tolerance may swap.
        """

        def find() -> Top:
            with self._failing():
                return find_best(
                    policy, rows, k, without, nodes, decided=self._decided, root=self._root, kept=self._kept
                )

        return on_one_process(policy, find)

    # -- what is done ---------------------------------------------------------------------------------------------

    def _score(self, policy: Policy, rows: Rows, candidates: IntArray) -> tuple[FloatArray, IntArray]:
        text, options = text_policy(policy), self.options
        if not len(rows):
            return np.empty(candidates.shape), np.empty(candidates.shape, dtype=np.int64)
        dtype = self._decided.dtype(text)
        tolerance = options.tolerance or check.TOLERANCE[dtype]
        checked = check.first_users(rows.user, options.check_rows)
        ours = own_scores(policy, rows[checked], candidates[checked])
        plan = work.Work.of(text, rows, candidates, checked, options.part_rows)
        scores = np.full(candidates.shape, np.nan)
        began = time.perf_counter()
        with temporary_model(self._root) as place, aside(policy, self._decided.in_child):
            model = prepare(text, self._decided.lora, place)
            name = work.key(policy.fingerprint(), model.digest, rows, candidates, options, "score")
            with job_folder(self._root, name) as folder:
                job = JobFolder(folder)
                strategy = self._decided.strategy(text, plan)
                plan.write(job, {
                    "task": "score", "strategy": strategy, "tolerance": tolerance,
                    **self._decided.settings(model, text, plan.longest + 1),
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
        texts = text_policy(policy).texts
        task = {"task": "generate", "most_tokens": most, "end": int(texts.end)}
        found = self._completed(policy, rows, rows.target[:, None], task)
        return [written.strip() for written in texts.tokenizer.batch_decode(found, skip_special_tokens=True)]

    def _choose(self, policy: Policy, rows: Rows, candidates: IntArray) -> IntArray:
        # The grammar lets a title be spelt in any tokens, down to single bytes; then comes the end token.
        longest = max(
            (len(words.encode()) for words in text_policy(policy).texts.words(np.unique(candidates))), default=0
        )
        return np.array(
            self._completed(policy, rows, candidates, {"task": "choose", "most_tokens": longest + 1}), np.int64
        )

    def _completed(self, policy: Policy, rows: Rows, candidates: IntArray, task: Mapping[str, Any]) -> list[Any]:
        """Column ``completion`` of a task that writes after each prompt, in the order of the rows."""
        text, options = text_policy(policy), self.options
        if not len(rows):
            return []
        plan = work.Work.of(text, rows, candidates, np.arange(min(len(rows), options.part_rows)), options.part_rows)
        completions: dict[int, Any] = {}
        with temporary_model(self._root) as place, aside(policy, self._decided.in_child):
            model = prepare(text, options.lora, place)
            name = work.key(policy.fingerprint(), model.digest, rows, candidates, options, json.dumps(task))
            with job_folder(self._root, name) as folder:
                job = JobFolder(folder)
                longest = max(len(prompt) for prompt in plan.prompts) + task["most_tokens"]
                settings = self._decided.settings(model, text, longest, reads_text=task["task"] == "choose")
                plan.write(job, {**task, **settings})
                self._run(job, lambda: None)
                for part in range(plan.parts):
                    columns, _ = job.part(part)
                    completions |= dict(zip(columns["row"], columns["completion"], strict=True))
        return [completions[i] for i in range(len(rows))]

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
        elif self._decided.in_child:
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
        with self._failing():
            work_off(job, tell=hear, start=self._kept)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """What vLLM throws in this process becomes a PoloError."""
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        try:
            yield
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
