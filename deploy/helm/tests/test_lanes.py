"""The lanes that the chart describes run, answer, drain and come back."""

import json
import random
import shutil
import signal
import subprocess
import time

import pytest
from chart import values
from cluster import PROGRAMS, Release, operator

ROLES = ["server0", "server1", "dealer"]
LANES = 2
PROMPT = "Write a Python function that returns the n-th Fibonacci number."

if not (PROGRAMS / "blindroute").exists() or not (PROGRAMS / "blindroute-operator").exists():
    pytest.skip("the programs are not built: cargo build --workspace", allow_module_level=True)


class Deployment:
    """Three operators, each with a release of its own, in two lanes; and a client of both lanes."""

    def __init__(self, root, bundle):
        # Every address from 127.0.0.0 to 127.255.255.255 is this machine.
        network = f"127.{random.randrange(1, 255)}.{random.randrange(0, 255)}"
        self.network = network
        for role in ROLES:
            operator("init", "--role", role, "--address", f"{role}.example:4100", "--out", root / role)
        for role in ROLES:
            others = [root / other / "manifest.json" for other in ROLES if other != role]
            with_others = [argument for other in others for argument in ("--with", other)]
            operator("pair", "--dir", root / role, *with_others, "--development")
        to = [argument for role in ROLES[:2] for argument in ("--for", root / role / "manifest.json")]
        operator("bundle", "split", "--bundle", bundle, *to, "--out", root / "split")
        operator("client-certificate", "--dir", root / "server0", "--name", "tester", "--out", root / "client")
        self.root = root
        self.releases = {role: self.release(role) for role in ROLES}

    def address(self, role):
        return f"{self.network}.{1 + ROLES.index(role)}" + "{lane}:4100"

    def release(self, role):
        own, root = self.root / role, self.root
        volumes = {name: root / "volumes" / role / name for name in ("identity", "authorities", "bundle")}
        for volume in volumes.values():
            volume.mkdir(parents=True)
        shutil.copy(own / f"{role}.pem", volumes["identity"] / "certificate.pem")
        shutil.copy(own / f"{role}.key", volumes["identity"] / "key.pem")
        shutil.copy(root / "split" / "public.bin", volumes["bundle"])
        for file in [own / "authority.pem", *own.glob("pinned-*.pem")]:
            shutil.copy(file, volumes["authorities"])
        authorities = {"configMapName": "authorities"}
        authorities |= {other: f"pinned-{other}.pem" for other in ROLES if other != role}
        identity = {"secretName": "identity"}
        if role != "dealer":
            shutil.copy(own / "sealing.key", volumes["identity"])
            shutil.copy(root / "split" / f"share{role[-1]}.sealed", volumes["bundle"] / "share.bin")
            identity["sealingKey"] = "sealing.key"
            authorities["client"] = "authority.pem" if role == "server0" else ["authority.pem", "pinned-server0.pem"]
        given = values(
            role,
            lanes=LANES,
            addresses={"dealer": self.address("dealer"), "server0": self.address("server0")},
            listen=self.address(role),
            identity=identity,
            authorities=authorities,
            drainSeconds=20,
        )
        return Release(given, root / "pods", volumes)

    def client(self, lane):
        file = self.root / f"client{lane}.toml"
        server0, server1 = (self.address(role).replace("{lane}", str(lane)) for role in ROLES[:2])
        pinned = {"server0": "server1/pinned-server0.pem", "server1": "server0/pinned-server1.pem"}
        file.write_text(
            f'server0 = "{server0}"\nserver1 = "{server1}"\nbundle = "split/public.bin"\n'
            '[identity]\nauthority = "server0/authority.pem"\ncertificate = "client/client.pem"\nkey = "client/client.key"\n'
            f"[identity.authorities]\n" + "".join(f'{role} = "{path}"\n' for role, path in pinned.items())
        )
        return file

    def route(self, *lanes):
        configs = [argument for lane in lanes for argument in ("--config", self.client(lane))]
        command = [PROGRAMS / "blindroute", "route", "--json", *configs, PROMPT]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def routed(self, *lanes):
        done = self.route(*lanes)
        out, err = done.communicate(timeout=120)
        assert done.returncode == 0, err
        return json.loads(out)

    def pod(self, role, lane):
        return self.releases[role].pods[lane]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    bundle = PROGRAMS.parents[1] / "bundles" / "default.blindroute"
    made = Deployment(tmp_path_factory.mktemp("lanes"), bundle)
    try:
        for release in made.releases.values():
            release.start()
        yield made
    finally:
        for release in made.releases.values():
            release.stop()


def answers(pod, kind, status):
    """Waits until a probe of a pod has this answer, as Kubernetes does."""
    address = pod.announced["listening"].rsplit(":", 1)[0]
    deadline = time.monotonic() + 60
    while (found := pod.probe(kind, address))[0] != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def in_the_clear():
    command = [PROGRAMS / "blindroute", "route", "--json", "--placement", "local", PROMPT]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)["model"]


def test_each_lane_answers_as_the_router_in_the_clear(deployment):
    expected = in_the_clear()
    for lane in range(LANES):
        answer = deployment.routed(lane)
        assert answer["model"] == expected
        for role in ROLES:
            pod = deployment.pod(role, lane)
            assert pod.announced["listening"] == deployment.address(role).replace("{lane}", str(lane))
            assert "unknown" not in (pod.root / "log").read_text(), "each field that the chart writes is known"
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
                answers(pod, probe, 200)


def test_a_lane_that_is_drained_costs_no_answer_and_comes_back_with_its_ledger(deployment, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"{PROMPT} Use at most {number} lines.\n" for number in range(2, 18)))
    configs = [argument for lane in range(LANES) for argument in ("--config", deployment.client(lane))]
    many = ["route", "--lines", prompts, "--concurrency", "4"]
    server0, out = deployment.pod("server0", 0), tmp_path / "out"
    with out.open("w") as written:
        running = subprocess.Popen([PROGRAMS / "blindroute", *many, *configs], stdout=written, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while out.stat().st_size == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    server0.signal(signal.SIGTERM)
    _, err = running.communicate(timeout=240)
    assert running.returncode == 0, err
    local = [PROGRAMS / "blindroute", *many, "--placement", "local"]
    expected = subprocess.run(local, capture_output=True, check=True, timeout=120, text=True).stdout
    assert out.read_text() == expected
    assert server0.ended() == 0, (server0.root / "log").read_text()
    server0.start()
    answers(server0, "readinessProbe", 200)
    assert deployment.routed(0)["model"] == in_the_clear()


def test_a_lane_that_is_killed_comes_back_and_two_processes_never_hold_one_ledger(deployment):
    server1 = deployment.pod("server1", 1)
    config = (server1.root / "configuration" / f"{server1.name}.toml").read_text()
    other = server1.root / "second.toml"
    # Elsewhere, so that only the ledger is in the way.
    other.write_text(config.replace(server1.announced["listening"].rsplit(":", 1)[0], f"{deployment.network}.99"))
    command = [PROGRAMS / "blindroute-operator", "server", "--party", "1", "--config", other]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode != 0 and "ledger" in second.stderr, second.stderr
    server1.signal(signal.SIGKILL)
    server1.process.wait()
    server1.start()
    assert deployment.routed(1)["model"] == in_the_clear()
