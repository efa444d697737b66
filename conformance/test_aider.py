"""aider, which edits a file of a repository by what the model answers."""

import json
import os
import subprocess

import pytest
import speech
from gateways import ROOT

AIDER = ROOT / "target" / "conformance" / "aider" / "bin" / "aider"
EDIT = """The greeting changes.

greeting.py
```python
<<<<<<< SEARCH
print("Hello")
=======
print("Hello, Paris")
>>>>>>> REPLACE
```
"""


@pytest.mark.skipif(not AIDER.exists(), reason="aider is not installed; see conformance/run")
def test_a_file_is_changed(chat, tmp_path):
    home, repository = tmp_path / "home", tmp_path / "repository"
    # What it knows of models, so that it does not ask for that.
    caches = home / ".aider" / "caches"
    caches.mkdir(parents=True)
    (caches / "model_prices_and_context_window.json").write_text(json.dumps({"auto": {"max_input_tokens": 100000, "litellm_provider": "openai", "mode": "chat"}}))
    # Whatever else it would ask of the network fails at once.
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1", **nowhere}
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    (repository / "greeting.py").write_text('print("Hello")\n')
    for arguments in (["add", "greeting.py"], [*who, "commit", "--quiet", "-m", "Greet"]):
        subprocess.run(["git", "-C", str(repository), *arguments], check=True)
    stream = b"".join(speech.events(chat.dialect, "large-2026", speech.Turn(tuple(EDIT.splitlines(keepends=True))), usage=True))
    chat.provider.script.append((200, [("content-type", "text/event-stream")], stream))
    options = ["--yes-always", "--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--no-pretty", "--no-gitignore", "--no-show-release-notes", "--no-detect-urls", "--map-tokens", "0", "--no-auto-commits"]
    arguments = ["--model", "openai/auto", "--openai-api-base", chat.base_url, "--openai-api-key", "unused", "--edit-format", "diff", *options]
    told = subprocess.run([str(AIDER), *arguments, "--message", "Greet Paris", "greeting.py"], cwd=repository, env=environment, capture_output=True, text=True, timeout=100)
    assert (repository / "greeting.py").read_text() == 'print("Hello, Paris")\n', told.stdout + told.stderr
    assert chat.provider.asked[0].body["stream"] is True and b"Greet Paris" in chat.provider.asked[0].raw
