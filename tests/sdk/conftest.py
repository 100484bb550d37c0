"""The gateway on real Envoy with simulated providers of every native kind behind it, for as long as the tests run.

`make test-sdk` builds and installs what this starts. MODEL_GATEWAY names another command than the one that `make build` made.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

ROOT = Path(__file__).parents[2]
COMMAND = os.environ.get("MODEL_GATEWAY", str(ROOT / "target/command/model-gateway"))

# What each kind of provider calls its model, and what has to be said of the provider besides its key. Each is at the site of
# the mock that has its name, which is how the mock tells apart who speaks OpenAI's dialect.
KINDS = {
    "openai": ("gpt-4o", {"path": "/v1"}),
    "anthropic": ("claude-sonnet-4-5", {}),
    "gemini": ("gemini-2.5-flash", {}),
    "vertex": ("gemini-3-flash-preview", {"project": "acme", "region": "europe-west4"}),
    "bedrock": ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", {"region": "eu-west-1"}),
    "cohere": ("command-a-reasoning-08-2025", {}),
    "ollama": ("qwen3:8b", {}),
    "mistral": ("magistral-medium-latest", {"path": "/v1"}),
    "azure-openai": ("gpt-4o", {"api_version": "2024-10-21"}),
}
# Those whose embeddings the gateway has, and their models.
EMBEDDINGS = {
    "openai": "text-embedding-3-small",
    "mistral": "mistral-embed",
    "azure-openai": "text-embedding-3-small",
}
# Whose streams have content in their first event.
NO_PREAMBLE = ("gemini", "vertex", "ollama")

# What the first target of a model does, by the name of the model's variant, in the mock's words.
FAILURES = {
    "503": "status=503",
    "429": "status=429&retry-after=1",
    "401": "status=401",
    "reset": "reset",
    "empty": "empty",
    # Before the first content.
    "error-event": "error-event={preamble}",
}
ONLY_TARGET = {
    "two-calls": "tools=2",
    "rejects": "status=400",
    "limited": "status=429&retry-after=7",
    "down": "status=503",
    "locked": "status=401",
    "ends": "end=6&chunk-delay=20",
    "cut": "cut=6&chunk-delay=20",
}
MODES = ("whole", "stream")


class Process:
    """A process of ours, with its output in a file."""

    def __init__(self, name, folder, *arguments, env=None):
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [COMMAND, *arguments],
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, ready, seconds):
        """What `ready` returns, once it is not None."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if (found := ready()) is not None:
                return found
            if self.child.poll() is not None:
                pytest.fail(f"{self.name} ended with {self.child.returncode}:\n{self.output()}", pytrace=False)
            time.sleep(0.05)
        pytest.fail(f"{self.name} was not ready after {seconds} s:\n{self.output()}", pytrace=False)

    def output(self, since=0):
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            # Its own session: whatever it started goes with it.
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait(10)


@pytest.fixture(scope="session")
def gateway(request, tmp_path_factory):
    """The base URL of the running gateway."""
    if not os.access(COMMAND, os.X_OK):
        pytest.fail(f"{COMMAND} is not there: run `make build`", pytrace=False)
    folder = tmp_path_factory.mktemp("gateway")
    with running(request, "mock", folder, "mock", "--listen", "127.0.0.1:0") as mock:
        announced = re.compile(r"listens on (http://\S+)")
        provider = mock.wait_for(lambda: (found := announced.search(mock.output())) and found[1], 10)
        port, admin = free_ports(2)
        file = folder / "gateway.yaml"
        file.write_text(configuration(port, admin, provider))
        url = f"http://127.0.0.1:{port}"
        with running(request, "gateway", folder, "run", str(file), env={"MOCK_KEY": "sk-mock"}) as run:
            run.wait_for(lambda: serves(f"{url}/v1/models"), 30)
            yield url


@pytest.fixture(scope="session")
def client(gateway):
    # No retries of its own: what the gateway answers is what a test sees.
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="none", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
async def async_client(gateway):
    async with openai.AsyncOpenAI(base_url=f"{gateway}/v1", api_key="none", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(params=KINDS)
def kind(request):
    """Each kind of provider in turn; it is also the name of the model that goes there and does nothing odd."""
    return request.param


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for process in item.config.stash.get(PROCESSES, []):
            report.sections.append((f"{process.name}, since this test began", process.output(process.mark)[-20_000:]))
    return report


def pytest_runtest_setup(item):
    for process in item.config.stash.get(PROCESSES, []):
        process.mark = process.log.stat().st_size


PROCESSES = pytest.StashKey[list]()


@contextmanager
def running(request, name, folder, *arguments, env=None):
    process = Process(name, folder, *arguments, env=env)
    process.mark = 0
    request.config.stash.setdefault(PROCESSES, []).append(process)
    try:
        yield process
    finally:
        process.stop()


def configuration(port, admin, provider):
    """A model of each kind, one for each way in which its only target fails, and one for each in which its first does."""
    models = {}
    for kind, (native, _) in KINDS.items():
        other = before(kind)
        failing, _ = KINDS[other]
        models[kind] = {"targets": [{"provider": kind, "model": native}]}
        # What README's snippets ask for.
        models.setdefault(native, models[kind])
        if kind in EMBEDDINGS:
            models[f"{kind}-embeddings"] = {"targets": [{"provider": kind, "model": EMBEDDINGS[kind]}]}
        # By the client's word: its header reaches both targets, and means one of them.
        models[f"{kind}-told"] = {
            "targets": [{"provider": other, "model": f"{failing}-told"}],
            "fallbacks": [kind],
        }
        for name, directives in ONLY_TARGET.items():
            models[f"{kind}-{name}"] = {"targets": [{"provider": kind, "model": f"{native}?{directives}"}]}
        for name, directives in FAILURES.items():
            # One for each mode, or the second test would find the failed target cooling.
            for mode in MODES:
                told = directives.format(preamble=int(other not in NO_PREAMBLE))
                first = {"provider": other, "model": f"{failing}-{mode}-for-{kind}?{told}"}
                models[f"{kind}-after-{name}-{mode}"] = {"targets": [first], "fallbacks": [kind]}
    # JSON's flow of a value is YAML's, and quotes what must be quoted.
    lines = "\n".join(f"  {name}: {json.dumps(model)}" for name, model in models.items())
    providers = "\n".join(
        f"  {kind}: {json.dumps(described(kind, provider, **settings))}" for kind, (_, settings) in KINDS.items()
    )
    return f"""\
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
forward_headers: ["x-mock*"]
cooldown: 0s
providers:
{providers}
models:
{lines}
"""


def described(kind, provider, path="", **settings):
    return {"kind": kind, "base_url": f"{provider}/{kind}{path}", "api_key": "${MOCK_KEY}", **settings}


def before(kind):
    """The kind before it, so that each fails for another in turn."""
    kinds = list(KINDS)
    return kinds[kinds.index(kind) - 1]


def serves(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return True if answer.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
