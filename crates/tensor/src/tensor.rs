//! How is a tensor stored in host memory and in a file? It is dense and row-major; files have the
//! safetensors format.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use preheat_io::{input, result_file};
use safetensors::tensor::{Dtype as FileDtype, Metadata, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::aligned::AlignedBytes;
use crate::array::ArrayError;
use crate::dtype::Dtype;

/// How many bytes at the beginning of a safetensors file hold the length of its header.
const HEADER_LENGTH: usize = 8;
/// The longest header that the format's own library reads.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// The dtype and shape of a tensor in memory, or of a value in a graph.
///
/// ```
/// use preheat_tensor::{Dtype, TensorType};
///
/// let latents = TensorType::new(Dtype::BFloat16, [1, 4, 64, 64]);
/// assert_eq!((latents.elements(), latents.bytes()), (16_384, 32_768));
/// assert_eq!(latents.to_string(), "bfloat16[1, 4, 64, 64]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TensorType {
    /// The dtype of each element.
    pub dtype: Dtype,
    /// The sizes, the outermost dimension first; empty for a scalar.
    pub dims: Vec<u64>,
}

impl TensorType {
    /// The type of a tensor with the shape `dims`.
    pub fn new(dtype: Dtype, dims: impl Into<Vec<u64>>) -> Self {
        Self { dtype, dims: dims.into() }
    }

    /// How many elements it has; `u64::MAX` if the number is too large for 64 bits.
    pub fn elements(&self) -> u64 {
        self.dims.iter().copied().fold(1, u64::saturating_mul)
    }

    /// How many bytes it takes; `u64::MAX` if the number is too large for 64 bits.
    pub fn bytes(&self) -> u64 {
        let bits = u128::from(self.elements()) * u128::from(self.dtype.bits());
        u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX)
    }

    /// How many bytes it takes in this machine's memory. Unlike [`Self::bytes`], this refuses a
    /// type that no tensor in this machine's memory can have.
    ///
    /// # Errors
    /// The errors of [`Dtype::array_bytes`].
    pub fn host_bytes(&self) -> Result<usize, ArrayError> {
        self.dtype.array_bytes(&self.dims)
    }
}

impl fmt::Display for TensorType {
    /// The dtype as NumPy names it, and the shape: `float32[2, 3]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.dims)
    }
}

/// A tensor in host memory, dense and row-major. A clone shares the memory.
#[derive(Clone)]
pub struct Tensor {
    kind: TensorType,
    data: Arc<AlignedBytes>,
}

impl Tensor {
    /// A tensor of `bytes`, little-endian, row-major.
    ///
    /// # Errors
    /// If there are more or fewer bytes than `kind` takes, or no array of `kind` can be in host
    /// memory.
    pub fn new(kind: TensorType, bytes: &[u8]) -> Result<Self, TensorError> {
        let expected = kind.host_bytes()?;
        if bytes.len() != expected {
            return Err(TensorError::Length {
                kind: kind.to_string(),
                expected,
                given: bytes.len(),
            });
        }
        Ok(Self { kind, data: Arc::new(AlignedBytes::copy_of(bytes)?) })
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// If elements of that dtype are not whole bytes, or the host has too little memory.
    pub fn zeros(kind: TensorType) -> Result<Self, TensorError> {
        let bytes = kind.host_bytes()?;
        Ok(Self { kind, data: Arc::new(AlignedBytes::zeroed(bytes)?) })
    }

    /// Takes over `bytes`, which must have the size of `kind`.
    pub fn from_aligned(kind: TensorType, bytes: AlignedBytes) -> Self {
        Self { kind, data: Arc::new(bytes) }
    }

    /// An f32 tensor.
    ///
    /// # Errors
    /// If `dims` have more or fewer elements than `values`, or the host has too little memory.
    pub fn from_f32(dims: &[u64], values: &[f32]) -> Result<Self, TensorError> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(TensorType::new(Dtype::Float32, dims), &bytes)
    }

    /// The values of an f32 tensor, row-major; `None` if its dtype is not f32.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        (self.kind.dtype == Dtype::Float32).then(|| {
            self.data
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect()
        })
    }

    /// Its dtype and shape.
    pub fn kind(&self) -> &TensorType {
        &self.kind
    }

    /// Its bytes, little-endian, row-major.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// Its memory, which can be shared with a device.
    pub fn shared(&self) -> Arc<AlignedBytes> {
        Arc::clone(&self.data)
    }

    /// Reads all tensors of a safetensors file, which have to be named `prefix0`, `prefix1`, ...
    ///
    /// `expected` has the types of the inputs that will receive the tensors, if these types are
    /// known. It decides whether a tensor is read as `f32[n,2]` or as `c64[n]`, which look the same
    /// in a file.
    ///
    /// # Errors
    /// If the file cannot be read, is not a safetensors file, has a tensor with another name or
    /// with a dtype that is not read, or if the host has too little memory.
    pub fn read_safetensors(
        path: &Path,
        prefix: &str,
        expected: Option<&[TensorType]>,
    ) -> Result<Vec<Self>, TensorError> {
        let bytes = read_file(path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let strays: Vec<_> = file
            .names()
            .into_iter()
            .filter(|name| {
                let index = name.strip_prefix(prefix).and_then(|rest| rest.parse::<usize>().ok());
                // `arg01` parses as well, and is not the name of a tensor of the sequence.
                index
                    .is_none_or(|index| index >= file.len() || **name != format!("{prefix}{index}"))
            })
            .map(str::to_owned)
            .collect();
        if !strays.is_empty() {
            return Err(TensorError::Names {
                prefix: prefix.to_owned(),
                count: file.len(),
                strays: strays.join(", "),
            });
        }
        (0..file.len())
            .map(|index| {
                let name = format!("{prefix}{index}");
                let view = file.tensor(&name)?;
                let kind = type_of(&name, &view, expected.and_then(|types| types.get(index)))?;
                Self::new(kind, view.data())
            })
            .collect()
    }

    /// Writes named tensors to a safetensors file, with the bytes of [`Self::to_safetensors`]. A
    /// regular file appears whole or not at all; a device or a pipe is written into.
    ///
    /// # Errors
    /// If a tensor has a dtype that is not written, or the file cannot be written.
    pub fn write_safetensors<'a>(
        path: &Path,
        tensors: impl IntoIterator<Item = (String, &'a Tensor)>,
    ) -> Result<(), TensorError> {
        result_file::write_whole(path, &Self::to_safetensors(tensors)?).map_err(TensorError::Io)
    }

    /// The bytes of a safetensors file with named tensors. Complex tensors get a last dimension of
    /// two.
    ///
    /// # Errors
    /// If a tensor has a dtype that is not written.
    pub fn to_safetensors<'a>(
        tensors: impl IntoIterator<Item = (String, &'a Tensor)>,
    ) -> Result<Vec<u8>, TensorError> {
        let mut views = HashMap::new();
        for (name, tensor) in tensors {
            let (dtype, pairs) = file_dtype(tensor.kind.dtype).ok_or_else(|| {
                TensorError::Dtype { name: name.clone(), dtype: tensor.kind.dtype.to_string() }
            })?;
            let mut shape: Vec<usize> =
                tensor.kind.dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
            if pairs {
                shape.push(2);
            }
            views.insert(name, TensorView::new(dtype, shape, tensor.bytes())?);
        }
        Ok(safetensors::serialize(views, None)?)
    }
}

/// The bytes of a safetensors file. The header is read first, because it says how many bytes
/// follow; at most one byte more is read.
fn read_file(path: &Path) -> Result<Vec<u8>, TensorError> {
    let mut file = input::open(path).map_err(TensorError::Io)?;
    let mut bytes = Vec::new();
    let mut read = |bytes: &mut Vec<u8>, count: u64| file.by_ref().take(count).read_to_end(bytes);
    read(&mut bytes, HEADER_LENGTH as u64).map_err(TensorError::Io)?;
    let header_bytes = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    if header_bytes > MOST_HEADER_BYTES {
        return Err(SafeTensorError::HeaderTooLarge.into());
    }
    read(&mut bytes, header_bytes).map_err(TensorError::Io)?;
    let json = bytes.get(HEADER_LENGTH..).unwrap_or_default();
    let header: Metadata =
        serde_json::from_slice(json).map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    // One byte more shows whether the file continues after its tensors.
    read(&mut bytes, (header.data_len() as u64).saturating_add(1)).map_err(TensorError::Io)?;
    Ok(bytes)
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({})", self.kind)
    }
}

/// The reasons why a tensor could not be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// No tensor in host memory can have the shape or dtype, or the host has too little memory.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// There are more or fewer bytes than the shape takes.
    #[error("{kind} takes {expected} bytes, {given} were given")]
    Length {
        /// The dtype and shape.
        kind: String,
        /// The bytes it takes.
        expected: usize,
        /// The bytes that were given.
        given: usize,
    },
    /// The file has tensors that are not in the sequence.
    #[error("its {count} tensors should be named {prefix}0, {prefix}1, ..., but it has {strays}")]
    Names {
        /// What the names begin with.
        prefix: String,
        /// How many tensors the file has.
        count: usize,
        /// The names outside the sequence.
        strays: String,
    },
    /// preheat does not write tensors of the dtype.
    #[error("tensor {name} is {dtype}, which preheat cannot write to a safetensors file")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// Its dtype.
        dtype: String,
    },
    /// A tensor of the file has a dtype that preheat does not read.
    #[error("tensor {name} is {dtype}, which preheat cannot read from a safetensors file")]
    FileDtype {
        /// The tensor's name.
        name: String,
        /// Its dtype, as the file names it.
        dtype: String,
    },
    /// The file is not a safetensors file, or is damaged.
    #[error("it is not an intact safetensors file")]
    Format(#[from] SafeTensorError),
    /// The file could not be read or written.
    #[error(transparent)]
    Io(std::io::Error),
}

/// Each dtype that preheat reads from files and writes to them, with its dtype in the file; `true`
/// if an element is a pair of elements of that dtype.
const DTYPES: &[(Dtype, FileDtype, bool)] = &[
    (Dtype::Bool, FileDtype::BOOL, false),
    (Dtype::Int8, FileDtype::I8, false),
    (Dtype::Int16, FileDtype::I16, false),
    (Dtype::Int32, FileDtype::I32, false),
    (Dtype::Int64, FileDtype::I64, false),
    (Dtype::UInt8, FileDtype::U8, false),
    (Dtype::UInt16, FileDtype::U16, false),
    (Dtype::UInt32, FileDtype::U32, false),
    (Dtype::UInt64, FileDtype::U64, false),
    (Dtype::Float16, FileDtype::F16, false),
    (Dtype::BFloat16, FileDtype::BF16, false),
    (Dtype::Float32, FileDtype::F32, false),
    (Dtype::Float64, FileDtype::F64, false),
    (Dtype::Complex64, FileDtype::F32, true),
    (Dtype::Complex128, FileDtype::F64, true),
];

fn file_dtype(dtype: Dtype) -> Option<(FileDtype, bool)> {
    DTYPES.iter().find(|(ours, ..)| *ours == dtype).map(|&(_, file, pairs)| (file, pairs))
}

fn type_of(
    name: &str,
    view: &TensorView<'_>,
    expected: Option<&TensorType>,
) -> Result<TensorType, TensorError> {
    let complex = expected.is_some_and(|kind| file_dtype(kind.dtype) == Some((view.dtype(), true)));
    let dtype = DTYPES
        .iter()
        .find(|&&(_, file, pairs)| file == view.dtype() && pairs == complex)
        .map(|&(ours, ..)| ours)
        .ok_or_else(|| TensorError::FileDtype {
            name: name.to_owned(),
            dtype: format!("{:?}", view.dtype()),
        })?;
    let mut dims: Vec<u64> = view.shape().iter().map(|&size| size as u64).collect();
    if complex && dims.last() == Some(&2) {
        dims.pop();
    }
    Ok(TensorType { dtype, dims })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error for a file with one tensor of one byte.
    fn error_for(name: &str, dtype: &str) -> String {
        let header =
            format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,1]}}}}"#);
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.push(0);
        let path =
            std::env::temp_dir().join(format!("preheat-tensor-{}-{name}", std::process::id()));
        std::fs::write(&path, file).unwrap();
        let read = Tensor::read_safetensors(&path, "arg", None);
        std::fs::remove_file(&path).unwrap();
        read.unwrap_err().to_string()
    }

    #[test]
    fn a_tensor_of_a_file_that_cannot_be_taken_is_named() {
        for stray in ["arg1", "arg00", "arg+0", "other"] {
            let error = error_for(stray, "U8");
            assert!(
                error.contains("should be named arg0, arg1") && error.contains(stray),
                "{error}"
            );
        }
        let error = error_for("arg0", "F8_E4M3");
        assert!(error.contains("tensor arg0 is F8_E4M3, which preheat"), "{error}");
    }
}
