"""The SDKs for Node as clients of the same gateway: node's own test runner runs them, and one that fails fails here."""

import os
import subprocess
from pathlib import Path

import pytest

from conftest import KINDS, ROOT

SUITES = Path(__file__).parent / "node"
# Where `tests/setup/install node-sdk` put them.
MODULES = Path(os.environ.get("MODEL_GATEWAY_NODE_MODULES", ROOT / ".tools/node-sdk/node_modules"))


@pytest.mark.parametrize("suite", ["openai.test.mjs", "ai.test.mjs"])
def test_node(gateway, tmp_path, suite):
    if not MODULES.is_dir():
        pytest.fail(f"{MODULES} is not there: run `make test-sdk`", pytrace=False)
    # Modules are looked for beside the file that names them, and the repository is no place for them.
    for file in SUITES.glob("*.mjs"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "node_modules").symlink_to(MODULES)
    run = subprocess.run(
        ["node", "--test", "--test-reporter=spec", suite],
        cwd=tmp_path,
        env={**os.environ, "GATEWAY": gateway, "KINDS": ",".join(KINDS)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    if run.returncode != 0:
        pytest.fail(run.stdout[-20_000:] + run.stderr[-5_000:], pytrace=False)
    assert "pass 0" not in run.stdout, run.stdout
