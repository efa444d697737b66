"""Starts and ends `blindroute gateway`."""

import functools
import json
import os
import pathlib
import signal
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The dialects, as the configuration names them.
DIALECTS = ("chat", "responses", "messages")

# Names that ask for a route. Some judges look at a model's name before they ask it to think.
ALIASES = ("auto", "claude-auto", "gpt-5-auto", "claude-opus-auto")


def program() -> str:
    """The program under test: `$BLINDROUTE`, or the one that `cargo build` makes."""
    return os.environ.get("BLINDROUTE") or str(ROOT / "target" / "debug" / "blindroute")


class Gateway:
    """A gateway that runs until it is closed. `folder` gets its record and its log."""

    def __init__(self, folder: pathlib.Path, config: str | None = None, environment: dict[str, str] | None = None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        arguments = [program(), "gateway", "--listen", "127.0.0.1:0", "--json"]
        if config is not None:
            path = folder / "gateway.toml"
            path.write_text(config)
            arguments += ["--config", str(path)]
        self.log = folder / "gateway.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                arguments,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "XDG_DATA_HOME": str(folder / "data"), **(environment or {})},
            )
        first = self._first_line(120)
        if not first:
            self.close()
            raise RuntimeError(f"the gateway did not start:\n{self.log.read_text()}")
        said = json.loads(first)
        # What OpenAI's clients call `base_url`; Anthropic's leave `/v1` out.
        self.base_url = said["base_url"]
        self.origin = self.base_url.removesuffix("/v1")

    def _first_line(self, seconds: float) -> bytes:
        """The first line on stdout; nothing if the program ends or says nothing in time."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()

    def close(self) -> None:
        """Ends the gateway as an operator does, and fails if it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError(f"the gateway did not end within 20 s of SIGTERM:\n{self.log.read_text()}") from None

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@functools.cache
def pool() -> str:
    """The models of the default pool, as the configuration writes them."""
    bundle = json.loads(subprocess.check_output([program(), "bundle", "show", "--json"]))
    return json.dumps([model["name"] for model in bundle["models"]])


def configuration(dialect: str, provider: str, extra: str = "", upstream: str = "auto") -> str:
    """A configuration with one provider that speaks `dialect` at `provider` (an address that ends in `/v1`).

    Every model of the default pool is called as `upstream` there. The rule is evaluated here, without servers: what is tested is
    the way to the provider and back.
    """
    return f"""
[route]
placement = "local"
on_failure = "error"
aliases = {json.dumps(ALIASES)}

[[provider]]
name = "provider"
dialects = ["{dialect}"]
base_url = "{provider}"

[[model]]
name = "model"
provider = "provider"
upstream = "{upstream}"
pool = {pool()}
input = 1
output = 2
context = 200000
max_output = 64000
images = true
{extra}"""
