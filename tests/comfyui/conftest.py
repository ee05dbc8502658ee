"""What do the tests share? One server, whose cache is empty when it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import workflows
from server import Server


def pytest_addoption(parser):
    parser.addoption("--comfyui", default=os.environ.get("PREHEAT_TEST_COMFYUI"))
    parser.addoption("--base", default=os.environ.get("PREHEAT_TEST_COMFYUI_BASE"))
    parser.addoption("--pictures", help="a folder for pictures of the page")


def pytest_configure(config):
    config.addinivalue_line("markers", "small: one of the tests that are enough for each change")


@pytest.fixture(scope="session")
def comfyui_flags(request):
    """The flags that ComfyUI knows."""
    code = (
        "import json, sys; sys.argv[1:] = []; import comfy.cli_args as known;"
        "print(json.dumps(list(known.parser._option_string_actions)))"
    )
    folder = request.config.getoption("--comfyui")
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True
    )
    return set(json.loads(ran.stdout))


@pytest.fixture(scope="session")
def preheat_command():
    """The command of the installed wheel."""
    return Path(sys.executable).with_name("preheat")


@pytest.fixture(scope="session")
def start(request, tmp_path_factory):
    """Returns a function that starts a server on a cache folder."""
    folders = [request.config.getoption(name) for name in ("--comfyui", "--base")]
    if not all(folders):
        pytest.exit("run these tests with `cargo xtask test --comfyui`, which installs ComfyUI", 2)
    logs = Path(folders[1]) / "logs"
    logs.mkdir(exist_ok=True)
    running = []

    def started(cache, name, **settings):
        server = Server(*folders, logs / f"{name}.log", PREHEAT_CACHE_DIR=str(cache), **settings)
        running.append(server)
        return server

    yield started
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def server(start, cache):
    return start(cache, "server")


def relative(one, other):
    """The largest difference, divided by the largest absolute value of `other`."""
    return float(numpy.abs(one - other).max() / numpy.abs(other).max())


@pytest.fixture(scope="session")
def compare(server):
    """Returns a function that samples on torch and on preheat.

    It returns the relative difference, and how many calls of the network preheat and torch served.
    """

    def compared(family, **settings):
        save = workflows.name()
        theirs = server.latents(
            workflows.sampling(family, save, on_preheat=False, **settings), save
        )
        before = server.stats()["comfyui"]
        save = workflows.name()
        ours = server.latents(workflows.sampling(family, save, on_preheat=True, **settings), save)
        after = server.stats()["comfyui"]
        counts = {name: after[name] - before[name] for name in ("calls_served", "calls_on_torch")}
        assert numpy.isfinite(theirs).all() and theirs.std() > 0
        return relative(ours, theirs), counts

    return compared
