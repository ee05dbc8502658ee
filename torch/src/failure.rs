//! What went wrong, and which code of the interface stands for it?

use preheat_torch_abi::code;
use tch::TchError;

/// Parts of libtorch's messages about too little memory. The last two are the message of MPS for a
/// tensor that is too large for any buffer, and that of C++ when the host's memory runs out.
const OUT_OF_MEMORY: [&str; 6] = [
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "_STATUS_ALLOC_FAILED",
    "Invalid buffer size",
    "std::bad_alloc",
];

/// An error that will be returned to the caller.
#[derive(Debug)]
pub struct Failure {
    pub code: u32,
    pub message: String,
}

pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The failure behind a message of libtorch. libtorch has no codes, so the message decides the
    /// kind.
    pub fn of_libtorch(message: &str) -> Self {
        let any = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
        let code = if any(&OUT_OF_MEMORY) {
            code::OUT_OF_MEMORY
        } else if any(&[
            "not implemented for",
            "not currently implemented for",
            "Could not run 'aten::",
            "not supported on MPS",
        ]) || (message.contains("MPS")
            && any(&["not supported", "doesn't support", "not implemented", "unsupported"]))
        {
            code::UNSUPPORTED
        } else {
            code::LIBTORCH
        };
        Self::new(code, without_trace(message))
    }

    /// The same failure, with the op in its message.
    pub fn at(self, op: &str, index: usize) -> Self {
        Self { message: format!("op {index} ({op}): {}", self.message), ..self }
    }
}

impl From<TchError> for Failure {
    fn from(error: TchError) -> Self {
        match error {
            TchError::Torch(message) => Self::of_libtorch(&message),
            other => Self::of_libtorch(&other.to_string()),
        }
    }
}

/// libtorch's message, without the C++ stack trace and the advice to libtorch's developers at its
/// end.
fn without_trace(message: &str) -> &str {
    let end = [
        "\nException raised from",
        "\nC++ CapturedTraceback",
        "\nSearch for `cuda",
        "\nCUDA kernel errors might",
    ]
    .iter()
    .filter_map(|start| message.find(start))
    .min();
    message[..end.unwrap_or(message.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_libtorch_tell_the_kind() {
        let kinds = [
            ("CUDA out of memory. Tried to allocate 20.00 MiB.", code::OUT_OF_MEMORY),
            (
                "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried",
                code::OUT_OF_MEMORY,
            ),
            ("MPS backend out of memory (MPS allocated: 1 GB)", code::OUT_OF_MEMORY),
            (
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
                code::OUT_OF_MEMORY,
            ),
            ("Invalid buffer size: 65536.00 GiB", code::OUT_OF_MEMORY),
            ("std::bad_alloc", code::OUT_OF_MEMORY),
            (
                "The operator 'aten::x' is not currently implemented for the MPS device.",
                code::UNSUPPORTED,
            ),
            ("Could not run 'aten::x' with arguments from the 'MPS' backend.", code::UNSUPPORTED),
            ("\"upsample\" not implemented for 'BFloat16'", code::UNSUPPORTED),
            (
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.",
                code::UNSUPPORTED,
            ),
            ("The size of tensor a (3) must match the size of tensor b (4)", code::LIBTORCH),
        ];
        for (message, code) in kinds {
            assert_eq!(Failure::of_libtorch(message).code, code, "{message}");
        }
        let traced = Failure::of_libtorch(
            "sizes differ\nException raised from add at x.cpp:1 (most recent call first):\nframe #0",
        );
        assert_eq!(traced.message, "sizes differ");
    }
}
