"""The chart, rendered by Helm."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

CHART = Path(__file__).parents[1] / "blindroute"
HELM = Path(sys.executable).parent / "helm"


class Refused(Exception):
    """Helm's own words."""


def values(role: str, **changes: object) -> dict[str, object]:
    """The least that a role needs, with changes."""
    return {
        "role": role,
        "image": {"repository": "registry.example/blindroute-operator", "tag": "0.1.0"},
        "addresses": {"dealer": "dealer-{lane}.example:4100", "server0": "server0-{lane}.example:4100"},
        "identity": {"secretName": "identity"},
        "authorities": {"configMapName": "authorities"},
        "bundle": {"volume": {"persistentVolumeClaim": {"claimName": "bundle", "readOnly": True}}},
        **changes,
    }


def render(given: dict[str, object], release: str = "north") -> list[dict]:
    """The documents of a release."""
    command = [HELM, "template", release, CHART, "--values", "-", "--kube-version", "1.31.0"]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Refused(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def only(documents: list[dict], kind: str) -> dict:
    """The one document of a kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found
