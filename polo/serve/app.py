"""The service as an ASGI application: paths, bodies, statuses. Knows starlette, which only the extra brings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from polo.run.recommending import Asked, Ranking, Recommender
from polo.serve.answers import answers, meant, plain
from polo.serve.batching import Batches, Full
from polo.serve.figures import Figures
from polo.serve.questions import Limits, Refused, question

_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
#: seconds after which one who was sent away may come again
_AGAIN: Final = "1"


def application(recommender: Recommender, limits: Limits, facts: Mapping[str, Any]) -> Starlette:
    """``POST /recommend``, ``GET /health`` and ``GET /metrics``.

    Args:
        recommender: whose policy is loaded.
        limits: what is refused.
        facts: what ``/health`` tells besides.
    """
    batches: Batches[tuple[Asked, int], Ranking] = Batches(
        partial(answers, recommender), limits.together, limits.waiting, lambda size: figures.sizes.see(size)
    )
    figures = Figures(lambda: len(batches))

    async def recommend(request: Request) -> Response:
        body = bytearray()
        whole = False
        try:
            async with asyncio.timeout(limits.seconds):
                async for part in request.stream():
                    body += part
                    if len(body) > limits.body:
                        raise Refused(413, f"the body has more than {limits.body} bytes", fix="send less")
                whole = True
                wanted = question(bytes(body), limits)
                asked = await asyncio.to_thread(meant, recommender, wanted, limits)
                return JSONResponse(plain(await batches.ask((asked, wanted.top)), asked))
        except TimeoutError:
            if whole:
                raise Refused(504, f"no answer within {limits.seconds:g} seconds", fix="come again later") from None
            raise Refused(408, f"the body did not come within {limits.seconds:g} seconds") from None
        except Full:
            raise Refused(503, f"{limits.waiting} questions wait already", fix="come again later") from None
        except ClientDisconnect:
            raise Refused(400, "the body ended early") from None

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", **facts})

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(figures.text(), media_type=_PROMETHEUS)

    routes = {"/recommend": (recommend, "POST"), "/health": (health, "GET"), "/metrics": (metrics, "GET")}

    def counted(path: str, handler: Callable[[Request], Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
        async def counting(request: Request) -> Response:
            began = time.monotonic()
            status = 500
            try:
                try:
                    response = await handler(request)
                except Refused as refused:
                    response = _refusal(refused)
                status = response.status_code
                return response
            finally:
                figures.answered(path, status)
                if path == "/recommend":
                    figures.seconds.see(time.monotonic() - began)

        return counting

    async def wrong_path(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        figures.answered("other", error.status_code)
        known = "; ".join(f"{method} {path}" for path, (_, method) in routes.items())
        refused = Refused(error.status_code, error.detail.lower(), where=request.url.path, fix=f"there are: {known}")
        return _refusal(refused, error.headers)

    async def broken(request: Request, error: Exception) -> Response:
        return _refusal(Refused(500, "the service broke over this question", fix="its log says where"))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with batches.answering():
            yield

    return Starlette(
        routes=[Route(path, counted(path, handler), methods=[method]) for path, (handler, method) in routes.items()],
        exception_handlers={HTTPException: wrong_path, Exception: broken},
        lifespan=lifespan,
    )


def _refusal(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    told = dict(headers or {}) | ({"Retry-After": _AGAIN} if refused.status == 503 else {})
    return JSONResponse(refused.plain(), refused.status, headers=told)
