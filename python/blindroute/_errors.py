"""What can go wrong. The texts are the program's, and never hold a prompt."""

from __future__ import annotations

from typing import Any


class BlindrouteError(Exception):
    """Any error of blindroute.

    `code` is a word for the kind of error that stays the same from version to version; the text may change.
    """

    code: str
    results: list[Any]
    """Of an error of `route_many` or `classify_many`: what came of each prompt, an answer or an error, in their order."""

    def __init__(self, message: str, code: str = "internal") -> None:
        super().__init__(message)
        self.code = code
        self.results = []

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.code)


class InputError(BlindrouteError, ValueError):
    """What was given cannot be used: a prompt, an option, data or a configuration."""


class BundleError(BlindrouteError, ValueError):
    """A bundle cannot be used."""


class ServersError(BlindrouteError, ConnectionError):
    """Servers or the dealer do not answer, or not as they should."""


class CancelledError(BlindrouteError):
    """The caller ended it before there was an answer."""


class RouteTimeoutError(CancelledError, TimeoutError):
    """The time that was given was up before there was an answer."""


class ForkedError(BlindrouteError, RuntimeError):
    """This process is a fork of one in which blindroute was used already."""
