//! What does a safetensors file say about its tensors, and is that consistent with the file?
//!
//! A file begins with eight bytes that are the header's length. The header, which is JSON, and the
//! values follow. Nothing in the header is used before it has been checked against the file: the
//! bytes of each tensor lie inside the file, and their number fits the tensor's shape and dtype, if
//! preheat knows the dtype. Together, the tensors cover all values exactly once, as the format
//! demands.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use preheat_io::input::LFS;
use preheat_tensor::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::error::WeightsError;

/// The longest header that is parsed, as in the format's own library.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// One tensor, as the file describes it.
#[derive(Debug)]
pub(crate) struct TensorInfo {
    pub name: String,
    pub dtype: Option<Dtype>,
    pub dtype_name: String,
    pub dims: Vec<u64>,
    /// The range of its bytes in the file.
    pub range: Range<usize>,
}

/// Every dtype that preheat knows, with its name in the format.
const DTYPES: &[(&str, Dtype)] = &[
    ("BOOL", Dtype::Bool),
    ("U8", Dtype::UInt8),
    ("I8", Dtype::Int8),
    ("F8_E5M2", Dtype::Float8E5M2),
    ("F8_E4M3", Dtype::Float8E4M3Fn),
    ("I16", Dtype::Int16),
    ("U16", Dtype::UInt16),
    ("F16", Dtype::Float16),
    ("BF16", Dtype::BFloat16),
    ("I32", Dtype::Int32),
    ("U32", Dtype::UInt32),
    ("F32", Dtype::Float32),
    ("F64", Dtype::Float64),
    ("I64", Dtype::Int64),
    ("U64", Dtype::UInt64),
    ("C64", Dtype::Complex64),
];

/// The tensors of a file, in the order of their names. `file` are the file's bytes.
pub(super) fn read(path: &Path, file: &[u8]) -> Result<Vec<TensorInfo>, WeightsError> {
    let broken = |why: String| WeightsError::NotSafetensors { path: path.to_owned(), why };
    let length = file.len() as u64;
    if file.starts_with(LFS) {
        return Err(WeightsError::LfsPointer { path: path.to_owned() });
    }
    let Some(prefix) = file.first_chunk::<8>() else {
        return Err(broken(format!("it has {length} bytes")));
    };
    let header_bytes = u64::from_le_bytes(*prefix);
    if header_bytes > MAX_HEADER_BYTES {
        return Err(broken(format!(
            "its first eight bytes would mean a header of {header_bytes} bytes"
        )));
    }
    let values_at = 8 + header_bytes;
    let start = usize::try_from(values_at).unwrap_or(usize::MAX);
    let Some(json) = file.get(8..start) else {
        // A file of another kind gets here if its first bytes happen to be a small number.
        return Err(if file.get(8).is_none_or(|&byte| byte == b'{') {
            WeightsError::Truncated { path: path.to_owned(), expected: values_at, length }
        } else {
            broken("its header is no JSON object".to_owned())
        });
    };
    let Header(raw) =
        serde_json::from_slice(json).map_err(|error| broken(format!("its header: {error}")))?;
    let mut tensors = Vec::with_capacity(raw.len());
    let mut covered = 0;
    let mut raw = raw;
    raw.sort_unstable_by(|a, b| (a.1.data_offsets, &a.0).cmp(&(b.1.data_offsets, &b.0)));
    for (name, RawTensor { dtype, shape, data_offsets: [begin, end] }) in raw {
        let bad = |why: String| WeightsError::BadTensor {
            path: path.to_owned(),
            name: name.clone(),
            why,
        };
        if begin > end {
            return Err(bad(format!("ends at byte {end}, before it begins at {begin}")));
        }
        let beyond = || WeightsError::Truncated {
            path: path.to_owned(),
            expected: values_at.saturating_add(end),
            length,
        };
        let (Some(first), Some(last)) = (values_at.checked_add(begin), values_at.checked_add(end))
        else {
            return Err(beyond());
        };
        if begin != covered {
            let what = if begin < covered {
                "overlaps the one before it"
            } else {
                "leaves a gap after the one before it"
            };
            return Err(bad(format!("begins at byte {begin} and {what}, which ends at {covered}")));
        }
        covered = end;
        let known = DTYPES.iter().find(|row| row.0 == dtype);
        if let Some(&(_, known)) = known {
            let size = u64::from(known.bits()) / 8;
            let takes = shape.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(dim));
            let takes = if shape.contains(&0) { Some(0) } else { takes };
            if takes != Some(end - begin) {
                let takes =
                    takes.map_or_else(|| "more than 2^64".to_owned(), |bytes| bytes.to_string());
                return Err(bad(format!(
                    "is {dtype} {shape:?}, which takes {takes} bytes, and has {}",
                    end - begin
                )));
            }
        }
        let range = match (usize::try_from(first), usize::try_from(last)) {
            (Ok(first), Ok(last)) if last <= file.len() => first..last,
            _ => return Err(beyond()),
        };
        tensors.push(TensorInfo {
            name,
            dtype: known.map(|row| row.1),
            dtype_name: dtype,
            dims: shape,
            range,
        });
    }
    if values_at + covered != length {
        return Err(broken(format!(
            "it has {length} bytes, and its tensors end at {}",
            values_at + covered
        )));
    }
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let (path, name) = (path.to_owned(), pair[0].name.clone());
        return Err(WeightsError::BadTensor { path, name, why: "is there twice".to_owned() });
    }
    Ok(tensors)
}

/// The texts that the header of a file has beside its tensors. `file` are the file's bytes, whose
/// header [`read`] has accepted.
pub(super) fn metadata(file: &[u8]) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "__metadata__", default)]
        texts: BTreeMap<String, String>,
    }
    let header = file.first_chunk::<8>().map_or(0, |prefix| u64::from_le_bytes(*prefix));
    let end = usize::try_from(header.saturating_add(8)).unwrap_or(usize::MAX);
    let json = file.get(8..end).unwrap_or_default();
    // Metadata in another form is ignored: it is no reason to refuse the tensors.
    serde_json::from_slice::<Metadata>(json).map(|header| header.texts).unwrap_or_default()
}

#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// All tensors of a header. In the file they are a map; here they are a list, so that a name that
/// occurs twice is noticed.
struct Header(Vec<(String, RawTensor)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut tensors = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
            } else {
                tensors.push((name, map.next_value()?));
            }
        }
        Ok(Header(tensors))
    }
}
