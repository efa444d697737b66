"""A cluster of one machine: it runs the pods that the chart describes as processes, each with folders for its volumes."""

import json
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from chart import only, render

PROGRAMS = Path(__file__).parents[3] / "target" / "debug"


def operator(*arguments: object) -> str:
    """Runs a command of an operator."""
    done = subprocess.run([PROGRAMS / "blindroute-operator", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Pod:
    """One lane: what it mounts, and its process."""

    spec: dict
    name: str
    root: Path
    process: subprocess.Popen | None = None
    announced: dict = field(default_factory=dict)

    def start(self) -> None:
        """Starts the container with its arguments, and waits until it says where it listens."""
        (container,) = self.spec["containers"]
        paths = {mount["mountPath"]: self.root / mount["name"] for mount in container["volumeMounts"]}
        arguments = [self.placed(argument.replace("$(POD_NAME)", self.name), paths) for argument in container["args"]]
        for file in (self.root / "configuration").iterdir():
            file.write_text(self.placed(file.read_text(), paths))
        with (self.root / "log").open("a") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "blindroute-operator", *arguments], stdout=subprocess.PIPE, stderr=log, text=True
            )
        line = self.process.stdout.readline()
        assert line, (self.root / "log").read_text()
        self.announced = json.loads(line)

    @staticmethod
    def placed(text: str, paths: dict[str, Path]) -> str:
        """The text with the paths of the container replaced by those of this machine."""
        for path in sorted(paths, key=len, reverse=True):
            text = re.sub(re.escape(path) + r"(?=[/\"]|$)", str(paths[path]), text)
        return text

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit status, within the time that Kubernetes would give it."""
        return self.process.wait(self.spec["terminationGracePeriodSeconds"])

    def probe(self, kind: str, address: str) -> tuple[int, str]:
        """What a probe of this kind is answered."""
        (container,) = self.spec["containers"]
        asked = container[kind]["httpGet"]
        (port,) = [port["containerPort"] for port in container["ports"] if port["name"] == asked["port"]]
        try:
            with urllib.request.urlopen(f"http://{address}:{port}{asked['path']}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Release:
    """The pods of one release. `volumes` names, for each volume of the chart, the folder whose files it holds."""

    def __init__(self, given: dict, root: Path, volumes: dict[str, Path]) -> None:
        documents = render(given)
        stateful = only(documents, "StatefulSet")["spec"]
        name = only(documents, "StatefulSet")["metadata"]["name"]
        files = only(documents, "ConfigMap")["data"]
        self.pods = []
        for lane in range(stateful["replicas"]):
            place = root / f"{name}-{lane}"
            (place / "state").mkdir(parents=True)
            (place / "configuration").mkdir()
            for file, text in files.items():
                (place / "configuration" / file).write_text(text)
            for volume in stateful["template"]["spec"]["volumes"]:
                if volume["name"] != "configuration":
                    shutil.copytree(volumes[volume["name"]], place / volume["name"])
            self.pods.append(Pod(stateful["template"]["spec"], f"{name}-{lane}", place))

    def start(self) -> None:
        for pod in self.pods:
            pod.start()

    def stop(self) -> None:
        for pod in self.pods:
            if pod.process and pod.process.poll() is None:
                pod.process.kill()
                pod.process.wait()
