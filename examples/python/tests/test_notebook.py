"""The notebook, executed from a clean state as Jupyter does it."""

import pathlib

import nbclient
import nbformat
import pytest

NOTEBOOK = pathlib.Path(__file__).resolve().parent.parent / "notebook.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as environment:
        for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
            environment.setenv(name, str(folder / name))
        client = nbclient.NotebookClient(
            notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )
        return client.execute()


def outputs(notebook, kind):
    """All outputs of this MIME type, as text."""
    return [
        output["data"][kind]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if kind in output.get("data", {})
    ]


def test_every_cell_runs(executed):
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_plots_and_tables_are_shown(executed):
    assert outputs(executed, "image/png"), "no plot"
    assert any("<table" in page for page in outputs(executed, "text/html")), "no table"


def test_no_cell_warns(executed):
    said = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = [output["text"] for output in said if output.output_type == "stream" and output.name == "stderr"]
    warnings = [line for text in texts for line in text.splitlines() if "Warning" in line or "Error" in line]
    assert not warnings, texts
    # Progress was shown there.
    assert any("training uniroute" in text for text in texts)


def test_the_repository_has_no_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
