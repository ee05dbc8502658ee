//! How does a tensor lie in host memory and in a file? Dense and row-major; files are safetensors
//! files.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use preheat_io::{input, result_file};
use safetensors::tensor::{Dtype as FileDtype, Metadata, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use crate::aligned::AlignedBytes;
use crate::array::ArrayError;
use crate::dtype::Dtype;

/// The bytes at the beginning of a safetensors file that hold the length of its header.
const HEADER_LENGTH: usize = 8;
/// The longest header that the format's own library reads.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// Type and dimensions of an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The type of each element.
    pub dtype: Dtype,
    /// The sizes, the outermost dimension first; empty for a scalar.
    pub dimensions: Vec<i64>,
}

impl fmt::Display for TensorType {
    /// In StableHLO's spelling, without `tensor<>`: `2x3xf32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for dimension in &self.dimensions {
            write!(f, "{dimension}x")?;
        }
        f.write_str(self.dtype.stablehlo())
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
    /// Where there are more or fewer bytes than `kind` takes.
    pub fn new(kind: TensorType, bytes: &[u8]) -> Result<Self, TensorError> {
        let expected = kind.dtype.array_bytes(&kind.dimensions)?;
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
    /// Where elements of that dtype are not whole bytes.
    pub fn zeros(kind: TensorType) -> Result<Self, TensorError> {
        let bytes = kind.dtype.array_bytes(&kind.dimensions)?;
        Ok(Self { kind, data: Arc::new(AlignedBytes::zeroed(bytes)?) })
    }

    /// Takes over `bytes`, which the caller knows to have the size of `kind`.
    pub fn from_aligned(kind: TensorType, bytes: AlignedBytes) -> Self {
        Self { kind, data: Arc::new(bytes) }
    }

    /// An f32 tensor.
    ///
    /// # Errors
    /// Where `dimensions` have more or fewer elements than `values`.
    pub fn from_f32(dimensions: &[i64], values: &[f32]) -> Result<Self, TensorError> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(TensorType { dtype: Dtype::Float32, dimensions: dimensions.to_vec() }, &bytes)
    }

    /// The values of an f32 tensor, row-major; `None` where its dtype is not f32.
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

    /// Reads the tensors `prefix0`, `prefix1`, ... of a safetensors file.
    ///
    /// `expected` has the types of the inputs that the tensors are for, where they are known. It
    /// decides between an `f32[n,2]` and a `c64[n]`, which look the same in a file.
    ///
    /// # Errors
    /// Where the file cannot be read, is not a safetensors file, or lacks a tensor of the sequence.
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
                index.is_none_or(|index| index >= file.len())
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
                let view = file.tensor(&format!("{prefix}{index}"))?;
                let kind = type_of(&view, expected.and_then(|types| types.get(index)))?;
                Self::new(kind, view.data())
            })
            .collect()
    }

    /// Writes named tensors to a safetensors file, with the bytes of [`Self::to_safetensors`]. A
    /// regular file appears whole or not at all; a device or a pipe is written into.
    ///
    /// # Errors
    /// Where a dtype has no name in the format, or the file cannot be written.
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
    /// Where a dtype has no name in the format.
    pub fn to_safetensors<'a>(
        tensors: impl IntoIterator<Item = (String, &'a Tensor)>,
    ) -> Result<Vec<u8>, TensorError> {
        let mut views = HashMap::new();
        for (name, tensor) in tensors {
            let (dtype, pairs) = file_dtype(tensor.kind.dtype).ok_or_else(|| {
                TensorError::Dtype { name: name.clone(), dtype: tensor.kind.dtype.to_string() }
            })?;
            let mut shape: Vec<usize> = tensor
                .kind
                .dimensions
                .iter()
                .map(|&dim| usize::try_from(dim).unwrap_or(0))
                .collect();
            if pairs {
                shape.push(2);
            }
            views.insert(name, TensorView::new(dtype, shape, tensor.bytes())?);
        }
        Ok(safetensors::serialize(views, None)?)
    }
}

/// The bytes of a safetensors file. The header is read first, because it says how many bytes
/// follow; no more than that are read.
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
    /// The shape or dtype is one that no tensor can have, or the host has too little memory.
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
    /// The file has other tensors than those of the sequence.
    #[error("its {count} tensors should be named {prefix}0, {prefix}1, ..., and it has {strays}")]
    Names {
        /// What the names begin with.
        prefix: String,
        /// How many tensors the file has.
        count: usize,
        /// The names outside the sequence.
        strays: String,
    },
    /// The file format has no name for the dtype.
    #[error("tensor {name} is {dtype}, which a safetensors file cannot hold")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// Its dtype.
        dtype: String,
    },
    /// The file is not a safetensors file, or is damaged.
    #[error("it is no intact safetensors file")]
    Format(#[from] SafeTensorError),
    /// The file could not be read or written.
    #[error(transparent)]
    Io(std::io::Error),
}

/// Each dtype that preheat and the file format both have; `true` where the file holds it as pairs
/// of a real dtype.
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
    view: &TensorView<'_>,
    expected: Option<&TensorType>,
) -> Result<TensorType, TensorError> {
    let complex = expected.is_some_and(|kind| file_dtype(kind.dtype) == Some((view.dtype(), true)));
    let dtype = DTYPES
        .iter()
        .find(|&&(_, file, pairs)| file == view.dtype() && pairs == complex)
        .map(|&(ours, ..)| ours)
        .ok_or_else(|| TensorError::Dtype {
            name: "of the file".to_owned(),
            dtype: format!("{:?}", view.dtype()),
        })?;
    let mut dimensions: Vec<i64> =
        view.shape().iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
    if complex && dimensions.last() == Some(&2) {
        dimensions.pop();
    }
    Ok(TensorType { dtype, dimensions })
}
