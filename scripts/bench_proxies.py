#!/usr/bin/env python3
"""Measures the gateway beside two other proxies that run on this machine: LiteLLM's proxy and Switchyard's server.

    python3 scripts/bench_proxies.py --venv FOLDER --blindroute target/release/blindroute -- --placement local --requests 400

Installs both into a virtual environment in FOLDER (outside the repository; kept for the next time), starts them with a
configuration that passes the model "mock" on to the mock provider, and runs `blindroute bench gateway` with both and with
the options after `--`. What each does with a call: LiteLLM (Python, one worker, no database, no logging of calls) looks the model up,
calls the provider through its SDK, and computes a cost. Switchyard (Rust, started from Python) looks a route of type "passthrough" up
and translates between dialects where they differ. Neither chooses a model here, reserves money, or writes a record to disk;
the gateway does, and with a routed call it chooses too.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGES = ["litellm[proxy]==1.108.7", "nemo-switchyard==0.3.0"]
PATIENCE = 300

LITELLM = """\
model_list:
  - model_name: mock
    litellm_params:
      model: openai/mock
      api_base: http://127.0.0.1:{provider}/v1
      api_key: none
litellm_settings:
  num_retries: 0
"""

SWITCHYARD = """\
schema_version = 1
[llm_clients.mock]
format = "openai_chat"
base_url = "http://127.0.0.1:{provider}/v1"
api_key_env = "MOCK_KEY"
max_retries = 0
[targets.mock]
id = "mock"
llm_client = "mock"
[routes.mock]
id = "mock"
type = "passthrough"
target = "mock"
"""

SERVE_SWITCHYARD = """\
import signal, sys
from switchyard_rust.server import Server
with Server(sys.argv[1], int(sys.argv[2])) as server:
    print(server.base_url, flush=True)
    signal.pause()
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def install(venv):
    python = venv / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def wait_for(port, process, name):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"{name} ended with status {process.returncode}; its log is above")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit(f"{name} does not listen after {PATIENCE} s")


def start(command, log, environment):
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, required=True, help="the virtual environment's folder")
    parser.add_argument("--blindroute", default="target/release/blindroute", help="the program")
    parser.add_argument("options", nargs="*", help="options of `bench gateway`, after --")
    arguments = parser.parse_args()
    python = install(arguments.venv.resolve())
    provider, litellm, switchyard = free_port(), free_port(), free_port()
    environment = {**os.environ, "MOCK_KEY": "none", "NO_PROXY": "127.0.0.1"}
    # No calls of a price list, and no key: it listens on this machine for the time of the measurement only.
    environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    # So that the proxies are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    running = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, text in [("litellm.yaml", LITELLM), ("switchyard.toml", SWITCHYARD), ("serve.py", SERVE_SWITCHYARD)]:
                Path(folder, name).write_text(text.format(provider=provider) if name != "serve.py" else text)
            serve = [python.parent / "litellm", "--config", f"{folder}/litellm.yaml", "--host", "127.0.0.1"]
            # It is shown if one of them does not start.
            with open(Path(folder, "log"), "w+") as log:
                running.append(start([*serve, "--port", str(litellm), "--num_workers", "1"], log, environment))
                running.append(start([python, f"{folder}/serve.py", f"{folder}/switchyard.toml", str(switchyard)], log, environment))
                try:
                    wait_for(litellm, running[0], "LiteLLM")
                    wait_for(switchyard, running[1], "Switchyard")
                except SystemExit:
                    sys.stderr.write(Path(folder, "log").read_text())
                    raise
                command = [arguments.blindroute, "bench", "gateway", "--upstream-listen", f"127.0.0.1:{provider}"]
                for name, port in [("litellm", litellm), ("switchyard", switchyard)]:
                    command += ["--proxy", f"{name}=http://127.0.0.1:{port}"]
                return subprocess.run([*command, *arguments.options], check=False).returncode
        finally:
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
