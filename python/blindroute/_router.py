"""Routers: prompts in, models out; texts in, labels out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from types import TracebackType
from typing import Any, Literal, TypeVar

from blindroute import _engine
from blindroute._bundle import Bundle
from blindroute._errors import BlindrouteError, CancelledError, InputError, RouteTimeoutError
from blindroute._many import Batch, Work
from blindroute._options import (
    Errors,
    Placement,
    Prompt,
    RouteOptions,
    Weight,
    classify_options,
    pair_of,
    text_of,
    weight_of,
)
from blindroute._progress import Progress, shown
from blindroute._reports import Label, Route

Path = str | PathLike[str]
Answer = TypeVar("Answer")
# Threads that wait for servers, for the methods of asyncio.
WAITING = 64


class PrivateRouter:
    """Routes prompts to models, and classifies texts. Several threads can use it at once.

    Make it by `in_process`, `connect` or `local`. As a context manager it ends the parties that it started:

    >>> import blindroute
    >>> with blindroute.PrivateRouter.in_process() as router:
    ...     route = router.route("What is the capital of France?")
    >>> route.placement, route.openings > 0
    ('full', True)
    """

    __slots__ = ("_router", "_threads")

    def __init__(self, router: _engine.Router) -> None:
        """Not for direct use: see `in_process`, `connect` and `local`."""
        self._router = router
        self._threads: ThreadPoolExecutor | None = None

    @classmethod
    def local(cls, bundle: Bundle | Path | None = None) -> PrivateRouter:
        """A router without servers, for a bundle that is public: only placement `local` works, in the clear."""
        return cls(_engine.Router.local(Bundle._of(bundle)._bundle))

    @classmethod
    def in_process(
        cls, bundle: Bundle | Path | None = None, *, patience: float = 60.0, scores: bool = False
    ) -> PrivateRouter:
        """A router whose dealer and servers are threads of this process, with fresh certificates and fresh shares.

        It shows the protocol and its costs, and suits tests. It protects nothing from whoever controls this process. With `scores`,
        the servers serve the scores of a classifier's labels. `patience` is as for `connect`.
        """
        return cls(_engine.Router.in_process(Bundle._of(bundle)._bundle, patience, scores))

    @classmethod
    def connect(
        cls, config: Path | Sequence[Path], *, bundle: Bundle | Path | None = None, patience: float = 60.0
    ) -> PrivateRouter:
        """A router of servers that other operators run, as the client configuration (TOML) says.

        With several configurations, one for each pair of servers, sessions are spread over all pairs, and one that fails is skipped.
        Placement `head` also needs a `bundle` with the servers' encoder. `patience` is how many seconds to try again while no
        session can be prepared; nothing of a prompt has been sent by then.
        """
        configs = [config] if isinstance(config, (str, PathLike)) else list(config)
        clear = None if bundle is None else Bundle._of(bundle)._bundle
        return cls(_engine.Router.connect(configs, clear, patience))

    @property
    def pairs(self) -> int:
        """How many pairs of servers it asks; 0 if it has none."""
        return self._router.pairs

    def route(
        self,
        prompt: Prompt,
        *,
        placement: Placement = "full",
        weight: float | Weight | None = None,
        router: str | None = None,
        ranked: int = 1,
        unknown_text: tuple[float, str] | None = None,
        timeout: float | None = None,
    ) -> Route:
        """Chooses the model for a prompt.

        Of messages, the text of the last user message is routed, as in the gateway. `weight` is the weight of cost, λ, from 0 to 15,
        or a calibration; without one, the router's own. `router` is a router's name in the bundle, without one the first. With
        `ranked`, from 2 to 4, the answer names so many models, the best first. `unknown_text`, a share and a model's name, is the
        model for prompts of whose characters a larger share is unknown to the router. `timeout` is in seconds.

        Raises `InputError` if the prompt or an option cannot be used, `ServersError` if servers do not answer, `RouteTimeoutError` if
        the time was up.

        >>> import blindroute
        >>> router = blindroute.PrivateRouter.local()
        >>> len(router.route("Is water wet?", placement="local", ranked=3).ranking)
        3
        """
        options = (placement, weight_of(weight), router, ranked, unknown_text)
        cancel = None if timeout is None else _engine.Cancel(timeout)
        return self._route(text_of(prompt), options, cancel)

    async def aroute(
        self,
        prompt: Prompt,
        *,
        placement: Placement = "full",
        weight: float | Weight | None = None,
        router: str | None = None,
        ranked: int = 1,
        unknown_text: tuple[float, str] | None = None,
        timeout: float | None = None,
    ) -> Route:
        """The same for asyncio. A task that is cancelled cancels its route."""
        options = (placement, weight_of(weight), router, ranked, unknown_text)
        text, cancel = text_of(prompt), _engine.Cancel(timeout)
        return await self._awaited(cancel, lambda: self._route(text, options, cancel))

    def route_many(
        self,
        prompts: Iterable[Prompt],
        *,
        placement: Placement = "full",
        weight: float | Weight | None = None,
        router: str | None = None,
        ranked: int = 1,
        unknown_text: tuple[float, str] | None = None,
        batch: int = 16,
        progress: Progress = True,
        errors: Errors = "raise",
    ) -> list[Any]:
        """Chooses the models for many prompts, in their order. Prompts of one length share sessions, which take the openings of one.

        `batch` is how many prompts are given to the servers of a pair at a time. A prompt that cannot be routed does not disturb the
        others: with `errors="return"` its error is in its place; else the first error is raised in the end, with all that came of the
        prompts in its `results`. The other options are those of `route`.

        >>> import blindroute
        >>> router = blindroute.PrivateRouter.local()
        >>> [type(answer).__name__ for answer in router.route_many(["Is water wet?", ""], placement="local", errors="return")]
        ['Route', 'InputError']
        """
        options = (placement, weight_of(weight), router, ranked, unknown_text)
        return self._many(Work(prompts, text_of, self._batch_of_routes(options), batch, "routing"), progress, errors)

    async def aroute_many(
        self,
        prompts: Iterable[Prompt],
        *,
        placement: Placement = "full",
        weight: float | Weight | None = None,
        router: str | None = None,
        ranked: int = 1,
        unknown_text: tuple[float, str] | None = None,
        batch: int = 16,
        progress: Progress = True,
        errors: Errors = "raise",
    ) -> list[Any]:
        """The same for asyncio. A task that is cancelled begins no further session, and cancels those that run."""
        options = (placement, weight_of(weight), router, ranked, unknown_text)
        work = Work(list(prompts), text_of, self._batch_of_routes(options), batch, "routing")
        return await self._awaited(work.cancel, lambda: self._many(work, progress, errors))

    def classify(
        self,
        text: str,
        *,
        text2: str | None = None,
        task: str | None = None,
        placement: Literal["local", "full"] = "full",
        policy: Literal["hidden", "open"] = "hidden",
        scores: bool = False,
        depth: int | None = None,
        timeout: float | None = None,
    ) -> Label:
        """Finds the label of a text, or of a pair of texts where the task takes pairs.

        `task` is a task's name in the bundle, without one the first. With `policy="open"`, you and the servers learn after how many
        layers the text left the encoder. `scores` asks for the score of each label, which servers refuse unless their operators allow
        it. `depth` is the number of layers to run, one of the pool's exits.
        """
        options = classify_options(task, placement, policy, scores, depth=depth, batch=1)
        return self._classify((text, text2), options, _engine.Cancel(timeout))

    async def aclassify(
        self,
        text: str,
        *,
        text2: str | None = None,
        task: str | None = None,
        placement: Literal["local", "full"] = "full",
        policy: Literal["hidden", "open"] = "hidden",
        scores: bool = False,
        depth: int | None = None,
        timeout: float | None = None,
    ) -> Label:
        """The same for asyncio. A task that is cancelled cancels its classification."""
        options = classify_options(task, placement, policy, scores, depth=depth, batch=1)
        cancel = _engine.Cancel(timeout)
        return await self._awaited(cancel, lambda: self._classify((text, text2), options, cancel))

    def classify_many(
        self,
        texts: Iterable[str | tuple[str, str]],
        *,
        task: str | None = None,
        placement: Literal["local", "full"] = "full",
        policy: Literal["hidden", "open"] = "hidden",
        scores: bool = False,
        depth: int | None = None,
        capacities: Sequence[float] | None = None,
        batch: int = 32,
        progress: Progress = True,
        errors: Errors = "raise",
    ) -> list[Any]:
        """Finds the labels of many texts, or pairs of texts, in their order.

        `batch` texts share a session. Of these the servers choose in secret which go on past each exit, so many as `capacities`, shares
        from 0 to 1, say; without them, the task's own. The other options are those of `classify` and `route_many`.
        """
        options = classify_options(task, placement, policy, scores, depth=depth, capacities=capacities, batch=batch)
        return self._many(Work(texts, pair_of, self._batch_of_labels(options), batch, "classifying"), progress, errors)

    async def aclassify_many(
        self,
        texts: Iterable[str | tuple[str, str]],
        *,
        task: str | None = None,
        placement: Literal["local", "full"] = "full",
        policy: Literal["hidden", "open"] = "hidden",
        scores: bool = False,
        depth: int | None = None,
        capacities: Sequence[float] | None = None,
        batch: int = 32,
        progress: Progress = True,
        errors: Errors = "raise",
    ) -> list[Any]:
        """The same for asyncio. A task that is cancelled begins no further session, and cancels those that run."""
        options = classify_options(task, placement, policy, scores, depth=depth, capacities=capacities, batch=batch)
        work = Work(list(texts), pair_of, self._batch_of_labels(options), batch, "classifying")
        return await self._awaited(work.cancel, lambda: self._many(work, progress, errors))

    def keep_ready(
        self,
        prompt: Prompt,
        count: int,
        *,
        placement: Placement = "full",
        router: str | None = None,
        ranked: int = 1,
        timeout: float = 60.0,
    ) -> bool:
        """Keeps so many sessions ready for routes of prompts as long as this one, so that these wait for their online time only.

        Sessions that were taken are replaced in the background; 0 keeps no more. Waits until all are ready, up to `timeout` seconds, and
        says whether they are. Each takes memory for its material on both servers.
        """
        options = (placement, None, router, ranked, None)
        return self._router.keep_ready(text_of(prompt), options, count, _engine.Cancel(timeout))

    def close(self) -> None:
        """Ends the parties that it started, and its threads. Closing twice is no error."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._router.close()

    def __enter__(self) -> PrivateRouter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> PrivateRouter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _route(self, text: str, options: RouteOptions, cancel: _engine.Cancel | None) -> Route:
        try:
            return Route(self._router.route(text, options, cancel))
        except CancelledError as error:
            raise _timed_out(error, cancel) from None

    def _classify(self, pair: tuple[str, str | None], options: dict[str, Any], cancel: _engine.Cancel) -> Label:
        (answer,) = self._router.classify_batch([pair], options, cancel)
        if isinstance(answer, CancelledError):
            raise _timed_out(answer, cancel)
        if isinstance(answer, BaseException):
            raise answer
        return Label(answer)

    def _batch_of_routes(self, options: RouteOptions) -> Batch:
        def run(texts: list[Any], cancel: _engine.Cancel) -> list[Any]:
            answers = self._router.route_batch(texts, options, cancel)
            return [Route(answer) if isinstance(answer, _engine.Answer) else answer for answer in answers]

        return run

    def _batch_of_labels(self, options: dict[str, Any]) -> Batch:
        def run(texts: list[Any], cancel: _engine.Cancel) -> list[Any]:
            answers = self._router.classify_batch(texts, options, cancel)
            return [Label(answer) if isinstance(answer, _engine.Answer) else answer for answer in answers]

        return run

    def _many(self, work: Work, progress: Progress, errors: Errors) -> list[Any]:
        if errors not in ("raise", "return"):
            raise InputError(f'errors is {errors!r}, expected "raise" or "return"', "errors")
        answers = work.run(max(self.pairs, 1), shown(progress, work.what))
        failed = next((answer for answer in answers if isinstance(answer, BlindrouteError)), None)
        if errors == "raise" and failed is not None:
            failed.results = answers
            raise failed
        return answers

    async def _awaited(self, cancel: _engine.Cancel, work: Callable[[], Answer]) -> Answer:
        """Runs work in a thread; if the task is cancelled, the work is too, and ends soon after."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(WAITING, thread_name_prefix="blindroute")
        running: Awaitable[Answer] = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            cancel.cancel()
            raise


def _timed_out(error: CancelledError, cancel: _engine.Cancel | None) -> CancelledError:
    timed = cancel is not None and cancel.is_timed()
    return RouteTimeoutError(str(error), "timeout") if timed else error
