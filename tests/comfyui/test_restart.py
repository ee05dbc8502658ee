"""What does a second process have to compile? Nothing."""

import numpy
import pytest
import workflows


@pytest.mark.small
def test_a_restarted_server_compiles_nothing(start, server, cache):
    prompts = [("sd1", {}), ("sdxl", {})]
    pictures = []
    for family, settings in prompts:
        save = workflows.name()
        made = workflows.sampling(family, save, on_preheat=True, warm=True, **settings)
        pictures.append(server.latents(made, save))
    # `PREHEAT_COMFYUI_ENABLE` optimises every model, so that the workflows need no node of preheat.
    second = start(cache, "restarted", PREHEAT_COMFYUI_ENABLE="1")
    before = second.compiles()
    for (family, settings), picture in zip(prompts, pictures, strict=True):
        save = workflows.name()
        again = second.latents(workflows.sampling(family, save, on_preheat=False, **settings), save)
        assert numpy.array_equal(again, picture)
    after = second.stats()
    assert second.compiles() == before
    assert after["comfyui"]["calls_served"] >= 6 and after["comfyui"]["calls_on_torch"] == 0


def test_an_empty_cache_is_refilled(start, tmp_path):
    server = start(tmp_path / "own", "own-cache")
    server.run(workflows.sampling("sd1", workflows.name(), on_preheat=True))
    assert server.stats()["cache"]["entries"] > 0
    status, _ = server.request("POST", "/preheat/clear", {"confirm": True})
    assert status == 200 and server.stats()["cache"]["entries"] == 0
    # Executables that are loaded can still run; one of a new size is compiled and stored.
    server.run(workflows.sampling("sd1", workflows.name(), on_preheat=True))
    server.run(workflows.sampling("sd1", workflows.name(), on_preheat=True, width=72))
    assert server.stats()["cache"]["entries"] > 0
