"""README's snippets, as they are printed but for the port."""

import json
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()
SERVED = "http://127.0.0.1:8080"


def block(language, word):
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(block for block in blocks if word in block)


def test_curl(gateway):
    command = block("sh", "curl").replace(SERVED, gateway)
    answer = subprocess.run(["sh", "-c", command.replace("curl", "curl -sS")], capture_output=True, text=True, timeout=30)
    assert json.loads(answer.stdout)["choices"][0]["message"]["content"] == "Mock answer to: Say hello.", answer


def test_sdk(gateway):
    program = block("python", "OpenAI").replace(SERVED, gateway)
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    said = "Mock answer to: Say hello."
    assert answer.stdout == f"{said}\n{said}", answer
