"""A deployment on this machine: a dealer and two servers as processes, which are ended with the block."""

import contextlib
import pathlib
import socket
import subprocess
import sys
import time

COMMAND = [sys.executable, "-m", "blindroute"]


def _free_ports(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _configuration(folder, role, **fields):
    lines = [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in fields.items()]
    identity = [f'{name} = "certificates/{file}"' for name, file in _identity(role)]
    path = folder / f"{role}.toml"
    path.write_text("\n".join(['bundle = "bundle/public.bin"', *lines, "[identity]", *identity]) + "\n")
    return path


def _identity(role):
    return ("authority", "authority.pem"), ("certificate", f"{role}.pem"), ("key", f"{role}.key")


def _answers(config):
    return subprocess.run([*COMMAND, "health", "--config", config], capture_output=True).returncode == 0


@contextlib.contextmanager
def deployed(folder: pathlib.Path):
    """Writes `client.toml` into this folder, and runs the servers that it names."""
    subprocess.run([*COMMAND, "certificates", "--out", folder / "certificates"], check=True, capture_output=True)
    subprocess.run([*COMMAND, "bundle", "split", "--out", folder / "bundle"], check=True, capture_output=True)
    dealer, server0, server1 = (f"127.0.0.1:{port}" for port in _free_ports(3))
    client = _configuration(folder, "client", server0=server0, server1=server1)
    configs = {
        ("dealer",): _configuration(folder, "dealer", listen=dealer, state="state/dealer"),
        ("server", "--party", "0"): _configuration(
            folder, "server0", party=0, listen=server0, dealer=dealer, share="bundle/share0.bin", state="state/server0"
        ),
        ("server", "--party", "1"): _configuration(
            folder,
            "server1",
            party=1,
            listen=server1,
            dealer=dealer,
            peer=server0,
            share="bundle/share1.bin",
            state="state/server1",
        ),
    }
    log = open(folder / "deployment.log", "wb")
    running = [
        subprocess.Popen([*COMMAND, *command, "--config", config], stdout=log, stderr=log)
        for command, config in configs.items()
    ]
    try:
        until = time.monotonic() + 120
        while not _answers(client):
            ended = [process.args for process in running if process.poll() is not None]
            assert not ended and time.monotonic() < until, (folder / "deployment.log").read_text()
            time.sleep(0.2)
        yield client
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)
        log.close()
