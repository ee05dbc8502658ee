"""The types of the compiled half of the package. Its documentation is in the classes themselves."""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from types import CapsuleType  # type: ignore[attr-defined, unused-ignore]
from typing import Any, Literal, TypedDict

__version__: str

Event = dict[str, Any]
Progress = Callable[[Event], object] | Literal[False] | None
#: An array of numpy, torch or JAX, a memoryview, numbers, or a tensor of preheat's.
ArrayLike = Any
Effort = Literal["fast", "balanced", "full"]
Age = float | timedelta
Path = str | os.PathLike[str]

class StageReport(TypedDict):
    model_id: str
    stage: str
    graph_key: str
    source: str
    match: str
    compile_seconds: float
    compile_peak_bytes: int
    load_seconds: float
    wait_seconds: float
    effort: Effort

class WarmupReport(StageReport):
    first_run_seconds: float
    kept: bool

class StageLookup(TypedDict):
    model_id: str
    stage: str
    verdict: Literal["hit", "miss"]
    match: str | None
    graph_key: str | None
    expected_compile_seconds: float | None
    effort: Effort | None
    nearest: dict[str, Any] | None

class Lookup(TypedDict):
    verdict: Literal["hit", "partial", "miss"]
    stages: list[StageLookup]

class Cancel:
    def __init__(self, when: Callable[[], Any] | None = None) -> None: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...

class Signature:
    def __init__(
        self,
        model_id: str,
        input_shape: Sequence[int],
        batch_size: int = 1,
        cfg_scale: float = 1.0,
        scheduler: str = "",
        steps: int = 1,
        dtype: Any = None,
    ) -> None: ...
    @property
    def model_id(self) -> str: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def cfg_scale(self) -> float: ...
    @property
    def scheduler(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    @property
    def digest(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...
    def replace(self, **changes: Any) -> Signature: ...

def create_execution_signature(
    model_id: str,
    input_shape: Sequence[int],
    batch_size: int = 1,
    cfg_scale: float = 1.0,
    scheduler: str = "",
    steps: int = 1,
    dtype: Any = None,
) -> Signature: ...
def normalize_shape(size: Sequence[int], multiple: int = 64) -> tuple[int, int]: ...
def latent_shape(batch: int, size: Sequence[int]) -> tuple[int, int, int, int]: ...
def noise(seed: int, shape: Sequence[int]) -> Tensor: ...
def devices() -> list[dict[str, Any]]: ...

class Program:
    def __init__(self, source: str | bytes) -> None: ...
    @staticmethod
    def read(path: Path) -> Program: ...
    @staticmethod
    def from_jax(lowered: Any) -> Program: ...
    @property
    def bytes(self) -> bytes: ...
    @property
    def format(self) -> Literal["mlir", "hlo"]: ...
    @property
    def name(self) -> str | None: ...
    @property
    def digest(self) -> str: ...

class Tensor:
    def __init__(
        self, array: ArrayLike, *, dtype: Any = None, shape: Sequence[int] | None = None
    ) -> None: ...
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def address(self) -> int: ...
    @property
    def __array_interface__(self) -> dict[str, Any]: ...
    def tobytes(self) -> bytes: ...
    def numpy(self) -> Any: ...
    def memoryview(self) -> memoryview: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any: ...
    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: Any = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> CapsuleType: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __len__(self) -> int: ...

class DeviceTensor:
    @property
    def dtype(self) -> str | None: ...
    @property
    def shape(self) -> tuple[int, ...] | None: ...
    def wait(self) -> None: ...
    def to_host(self) -> Tensor: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any: ...

class Executable:
    def run(
        self, inputs: Iterable[ArrayLike], *, on_device: bool = False, cancel: Cancel | None = None
    ) -> list[Any]: ...
    def __call__(self, *inputs: ArrayLike) -> list[Tensor]: ...
    @property
    def inputs(self) -> list[tuple[str, list[int]]] | None: ...
    def zeros(self) -> list[Tensor]: ...
    def to_device(self, array: ArrayLike) -> DeviceTensor: ...
    @property
    def report(self) -> StageReport: ...
    @property
    def graph_key(self) -> str: ...
    @property
    def metrics(self) -> dict[str, float]: ...

class Runtime:
    def __init__(
        self,
        device: str | None = None,
        *,
        strict_device: bool | None = None,
        tpu: bool | None = None,
        text_encoder_device: str | None = None,
        vae_device: str | None = None,
        cache_dir: Path | None = None,
        cache_fallback: Sequence[Path] | None = None,
        cache_max_bytes: int | None = None,
        cache_read_only: bool | None = None,
        cache_shared: bool | None = None,
        use_cache: bool | None = None,
        require_warm: bool | None = None,
        manual_warmup: bool | None = None,
        compile_effort: Effort | None = None,
        for_programs: bool | None = None,
        target: str | None = None,
        plugin: Path | None = None,
        memory_limit_bytes: int | None = None,
        sync_steps: int | None = None,
        metrics: bool | None = None,
    ) -> None: ...
    def get_or_compile(
        self,
        signature: Signature,
        program: Program,
        *,
        require_warm: bool | None = None,
        force_recompile: bool = False,
        effort: Effort | None = None,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Executable: ...
    def warmup(
        self,
        signature: Signature,
        program: Program,
        *,
        force_recompile: bool = False,
        effort: Effort | None = None,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> tuple[Executable, WarmupReport]: ...
    def precompile(
        self,
        signature: Signature,
        program: Program,
        *,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> StageReport: ...
    def lookup(self, signature: Signature, program: Program | None = None) -> Lookup: ...
    def is_cached(self, signature: Signature) -> bool: ...
    def to_device(self, array: ArrayLike) -> DeviceTensor: ...
    def stats(self) -> dict[str, Any]: ...
    def metrics(self) -> dict[str, float]: ...
    def free_memory(self) -> int: ...
    @property
    def cache(self) -> Cache: ...
    @property
    def device(self) -> dict[str, Any]: ...
    @property
    def target(self) -> str: ...
    @property
    def compute_dtype(self) -> str: ...
    @property
    def warnings(self) -> list[str]: ...

class Cache:
    def __init__(
        self,
        cache_dir: Path | None = None,
        *,
        cache_fallback: Sequence[Path] | None = None,
        cache_max_bytes: int | None = None,
        cache_read_only: bool | None = None,
        cache_shared: bool | None = None,
    ) -> None: ...
    @property
    def dir(self) -> os.PathLike[str]: ...
    def info(self) -> dict[str, Any]: ...
    def stats(self) -> dict[str, Any]: ...
    def list(
        self,
        *,
        model: str | None = None,
        stage: str | None = None,
        target: str | None = None,
        older_than: Age | None = None,
    ) -> list[dict[str, Any]]: ...
    def show(self, key: str) -> dict[str, Any]: ...
    def program(self, key: str) -> Program: ...
    def clear(self) -> dict[str, Any]: ...
    def verify(self, *, repair: bool = False, cancel: Cancel | None = None) -> dict[str, Any]: ...
    def prune(
        self,
        *,
        max_bytes: int | None = None,
        older_than: Age | None = None,
        stale: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]: ...
    def pin(self, key: str | None = None, *, signature: Signature | None = None) -> int: ...
    def unpin(self, key: str | None = None, *, signature: Signature | None = None) -> int: ...
    def export(
        self,
        path: Path,
        keys: Sequence[str] | None = None,
        *,
        model: str | None = None,
        stage: str | None = None,
        target: str | None = None,
        overwrite: bool = False,
        cancel: Cancel | None = None,
    ) -> dict[str, Any]: ...
    def import_file(
        self, path: Path, *, trust: bool = False, cancel: Cancel | None = None
    ) -> dict[str, Any]: ...

class Network:
    def __init__(
        self,
        runtime: Runtime,
        config: str,
        size: Sequence[int],
        batch: int,
        tokens: int,
        dtype: Any,
        *,
        name: str,
        joined: bool = False,
        force_recompile: bool = False,
        require_warm: bool | None = None,
        warming: bool = False,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> None: ...
    @property
    def weights(self) -> list[tuple[str, list[str], list[int], list[int], str]]: ...
    def set_weight(self, index: int, array: ArrayLike) -> None: ...
    @staticmethod
    def lookup(
        runtime: Runtime,
        config: str,
        size: Sequence[int],
        batch: int,
        tokens: int,
        dtype: Any,
        *,
        name: str,
        joined: bool = False,
    ) -> Lookup: ...
    def share(self, other: Network) -> None: ...
    def unload(self) -> None: ...
    def run(self, inputs: Sequence[ArrayLike], *, cancel: Cancel | None = None) -> Tensor: ...
    @property
    def report(self) -> StageReport: ...
    @property
    def signature(self) -> Signature: ...

class Pipeline:
    def __init__(self, runtime: Runtime, folder: Path, **settings: Any) -> None: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def model_id(self) -> str: ...
    @property
    def class_name(self) -> str: ...
    def plan(self, request: str) -> dict[str, Any]: ...
    def signature(self, request: str) -> Signature: ...
    def lookup(self, request: str) -> Lookup: ...
    def warmup(
        self,
        request: str,
        *,
        force_recompile: bool = False,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> dict[str, Any]: ...
    def run(
        self, request: str, *, progress: Progress = None, cancel: Cancel | None = None
    ) -> tuple[list[tuple[int, int, bytes]], Tensor, dict[str, Any]]: ...
    def unload(self) -> int: ...
