"""What does a person want to know of each entry of the cache?"""

from __future__ import annotations

from typing import Any


def rows(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries as the panel and the nodes show them, those that saved most time first."""
    made = [_row(entry) for entry in entries]
    return sorted(made, key=lambda row: (-row["saved_seconds"], -row["compile_seconds"]))


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    known = entry["signatures"]
    signature = known[0]["signature"] if known else {}
    compile_seconds = entry["measurements"]["compile_seconds"]
    hits = entry["statistics"]["hits"]
    # The object is gone if its file was removed or damaged.
    stored = entry["object"] or {}
    return {
        "graph_key": entry["graph_key"],
        "stage": entry["stage"],
        "model": signature.get("model_id", ""),
        "shape": signature.get("input_shape"),
        "dtype": signature.get("dtype", ""),
        "device": entry["device"],
        "stored_bytes": stored.get("stored_bytes", 0),
        "compile_seconds": compile_seconds,
        # Each hit took the place of one compile.
        "saved_seconds": hits * compile_seconds,
        "hits": hits,
        "pinned": entry["pinned"],
    }
