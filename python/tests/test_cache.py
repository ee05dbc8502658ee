"""Does the cache list, check, prune, pin and move what it holds?"""

import datetime

import pytest
from conftest import ADD, in_a_child

import preheat


@pytest.fixture
def filled(tmp_path):
    runtime = preheat.Runtime("xla-cpu", cache_dir=tmp_path / "cache")
    signature = preheat.create_execution_signature("add", [16, 16])
    runtime.get_or_compile(signature, preheat.Program(ADD))
    return runtime, signature


def test_entries_are_listed_and_shown(filled):
    runtime, signature = filled
    cache = runtime.cache
    (record,) = cache.list()
    assert record["stage"] == "program" and record["signatures"][0]["signature"]["model_id"] == "add"
    assert cache.show(record["graph_key"][:8]) == record
    assert cache.program(record["graph_key"][:8]) == preheat.Program(ADD)
    assert cache.list(model="add") and not cache.list(model="other")
    assert cache.list(stage="program") and not cache.list(older_than=datetime.timedelta(days=1))
    assert cache.info()["objects"] == 1 and cache.dir == cache.dir.parent / "cache"
    with pytest.raises(preheat.CacheError, match="no graph key begins with"):
        cache.show("zz")


def test_entries_are_pinned_pruned_and_cleared(filled):
    runtime, signature = filled
    cache = runtime.cache
    key = cache.list()[0]["graph_key"]
    assert cache.pin(key) == 1 and cache.list()[0]["pinned"]
    assert cache.prune(max_bytes=0)["entries"] == []
    assert cache.unpin(key) == 1 and cache.pin(signature=signature) == 1
    assert cache.unpin(signature=signature) == 1
    assert len(cache.prune(max_bytes=0, dry_run=True)["entries"]) == 1
    with pytest.raises(preheat.InvalidRequest, match="say what to prune"):
        cache.prune()
    with pytest.raises(preheat.InvalidRequest, match="not both"):
        cache.pin()
    assert cache.verify()["findings"] == []
    assert cache.clear()["removed"] == 1
    assert cache.list() == [] and not runtime.is_cached(signature)


def test_entries_move_to_another_cache(filled, tmp_path):
    runtime, signature = filled
    file = tmp_path / "entries.preheat"
    assert runtime.cache.export(file)["objects"] == 1
    with pytest.raises(preheat.CacheError, match="writing .* failed"):
        runtime.cache.export(file)
    assert runtime.cache.export(file, overwrite=True, model="other")["objects"] == 0
    runtime.cache.export(file, [runtime.cache.list()[0]["graph_key"]], overwrite=True)
    other = preheat.Cache(tmp_path / "other")
    with pytest.raises(preheat.InvalidRequest, match="trust=True"):
        other.import_file(file)
    assert other.import_file(file, trust=True)["added"] == 1
    found = preheat.Runtime("xla-cpu", cache_dir=tmp_path / "other", require_warm=True)
    assert found.get_or_compile(signature, preheat.Program(ADD)).report["source"] == "disk"
    (tmp_path / "text").write_text("no export")
    with pytest.raises(preheat.CacheError, match="not a file that an export wrote"):
        other.import_file(tmp_path / "text", trust=True)


def test_statistics_are_those_of_all_processes(filled, tmp_path):
    in_a_child(
        f"""
import preheat
runtime = preheat.Runtime("xla-cpu", cache_dir={str(tmp_path / "cache")!r})
runtime.get_or_compile(preheat.create_execution_signature("add", [16, 16]), preheat.Program({ADD!r}))
"""
    )
    assert preheat.Cache(tmp_path / "cache").stats()["compiles"] == 1
    assert filled[0].cache.stats()["hits"]["disk"] == 1


def test_a_cache_that_cannot_be_used_is_a_warning_and_everything_is_compiled(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(preheat.PreheatWarning, match="cache"):
        runtime = preheat.Runtime("xla-cpu", cache_dir=tmp_path / "file")
    run = runtime.get_or_compile(
        preheat.create_execution_signature("add", [16, 16]), preheat.Program(ADD)
    )
    assert run.report["source"] == "compiled"
    with pytest.raises(preheat.CacheError):
        runtime.stats()
