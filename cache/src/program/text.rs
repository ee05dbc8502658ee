//! StableHLO text.
use super::Sink;

pub(super) fn looks_like_mlir(bytes: &[u8]) -> bool {
    bytes.starts_with(b"module")
}

pub(super) fn hash_normalised(bytes: &[u8], sink: &mut Sink) -> Option<()> {
    sink.add(bytes);
    Some(())
}
