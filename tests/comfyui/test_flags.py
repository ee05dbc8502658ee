"""Does the node pack follow the flags with which ComfyUI was started?"""

import json

import pack
import preheat
import pytest
import workflows

pytestmark = pytest.mark.small


def test_flags_are_read_as_a_shell_writes_them():
    flags = pack.module("flags")
    options = flags.parsed("'--cache-fallback=it is far' '--precision=fp32' '--tpu-manual-warmup'")
    assert options.runtime_settings()["manual_warmup"] is True
    assert [str(one) for one in options.args.cache_fallback] == ["it is far"]
    assert options.pipeline_settings()["precision"] == "fp32"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--frobnicate", "unrecognized arguments: --frobnicate"),
        ("--precision half", "invalid choice"),
        ("'--precision", "No closing quotation"),
    ],
)
def test_bad_flags_are_refused_with_the_name_of_the_variable(text, words):
    flags = pack.module("flags")
    with pytest.raises(flags.BadFlags, match=f"correct the variable {flags.VARIABLE}: .*{words}"):
        flags.parsed(text)


def test_no_flag_of_preheat_is_one_of_comfyui(comfyui_flags):
    import argparse

    parser = argparse.ArgumentParser(add_help=False)
    preheat.add_arguments(parser)
    assert set(parser._option_string_actions) & comfyui_flags == set()
    assert "--listen" in comfyui_flags


def test_comfyui_follows_the_flags(start, tmp_path, preheat_command):
    """`preheat comfyui` starts the server, and no node has settings of its own."""
    flags = ["--tpu-manual-warmup", "--precision", "bf16", "--compile-effort=fast"]
    server = start(
        tmp_path / "cache", "flags", command=[preheat_command, "comfyui", "--"], flags=flags,
        PREHEAT_COMFYUI_ENABLE="1",
    )  # fmt: skip
    prompt = workflows.sampling("sd1", workflows.name(), on_preheat=False)
    server.run(prompt)
    (network,) = server.stats()["comfyui"]["networks"]
    assert network["dtype"] == "bfloat16"
    entries = json.loads(server.request("GET", "/preheat/entries")[1])
    assert {entry["dtype"] for entry in entries} == {"bfloat16"}
    assert "compil" in server.text()
