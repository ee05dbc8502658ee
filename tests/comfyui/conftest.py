"""What do the tests share? One server, whose cache is empty when it starts."""

import os
from pathlib import Path

import numpy
import pytest
import workflows
from server import Server


def pytest_addoption(parser):
    parser.addoption("--comfyui", default=os.environ.get("PREHEAT_TEST_COMFYUI"))
    parser.addoption("--base", default=os.environ.get("PREHEAT_TEST_COMFYUI_BASE"))


@pytest.fixture(scope="session")
def start(request, tmp_path_factory):
    """Returns a function that starts a server on a cache folder."""
    folders = [request.config.getoption(name) for name in ("--comfyui", "--base")]
    if not all(folders):
        pytest.exit("run these tests with `cargo xtask test --comfyui`, which installs ComfyUI", 2)
    logs = Path(folders[1]) / "logs"
    logs.mkdir(exist_ok=True)
    running = []

    def started(cache, name, **environment):
        server = Server(*folders, logs / f"{name}.log", PREHEAT_CACHE_DIR=str(cache), **environment)
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
