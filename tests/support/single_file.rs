//! How does a test get a model in a single file? This file writes the small models as single files,
//! in the same way as `tests/fixtures/single_file_fixtures.py`, which lets diffusers read them.
#![allow(dead_code, reason = "each program that includes it uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use serde::Deserialize;

use super::random_model::values;
use super::repository;

/// The tensors of a file, by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// A tensor whose dtype has the name that safetensors gives it.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub dtype: &'static str,
    pub dims: Vec<u64>,
    pub bytes: Vec<u8>,
}

impl Tensor {
    pub fn f32(dims: &[u64], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: "F32", dims: dims.to_vec(), bytes }
    }

    /// A tensor without values, which only marks a file.
    pub fn marker() -> Self {
        Self::f32(&[0], &[])
    }

    /// The values of a tensor of float32.
    pub fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, "F32");
        self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The same tensor, rounded to `F16` or `BF16`.
    pub fn rounded(&self, dtype: &'static str) -> Self {
        let bytes = self.values().into_iter().flat_map(|value| match dtype {
            "F16" => f16::from_f32(value).to_le_bytes(),
            "BF16" => bf16::from_f32(value).to_le_bytes(),
            other => panic!("no tensor is rounded to {other} here"),
        });
        Self { dtype, dims: self.dims.clone(), bytes: bytes.collect() }
    }
}

/// How a tensor of the single file is made from the weights of a model folder.
#[derive(Deserialize)]
#[serde(untagged)]
enum Held {
    One(String),
    Made {
        of: Vec<String>,
        #[serde(rename = "as")]
        how: String,
    },
    Idle {
        shape: Vec<u64>,
    },
}

/// The tensors of a small model as a single file: `sd15`, `sd21` or `sdxl`.
pub fn tensors(model: &str) -> Tensors {
    let folder = repository(&format!("tests/fixtures/models/{model}"));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let held: BTreeMap<String, Held> = serde_json::from_str(&read("single_file.json")).unwrap();
    let shapes: BTreeMap<String, BTreeMap<String, Vec<u64>>> =
        serde_json::from_str(&read("weights.json")).unwrap();
    let weight = |name: &str| {
        let (component, name) = name.split_once('/').unwrap();
        let dims = &shapes[component][name];
        Tensor::f32(dims, &values(component, name, dims, 0).collect::<Vec<_>>())
    };
    let tensor = |held: Held| match held {
        Held::One(name) => weight(&name),
        Held::Idle { shape } => {
            let count: u64 = shape.iter().product();
            Tensor::f32(&shape, &vec![0.0; usize::try_from(count).unwrap()])
        }
        Held::Made { of, how } => {
            let mut parts = of.iter().map(|name| weight(name));
            let mut first = parts.next().unwrap();
            match how.as_str() {
                "rows" => {
                    for part in parts {
                        first.dims[0] += part.dims[0];
                        first.bytes.extend(part.bytes);
                    }
                }
                "convolution" => first.dims.extend([1, 1]),
                "transposed" => {
                    let [rows, columns] = [first.dims[0], first.dims[1]];
                    let at = |row, column| usize::try_from(row * columns + column).unwrap();
                    let values = first.values();
                    let turned: Vec<f32> = (0..columns)
                        .flat_map(|column| (0..rows).map(move |row| at(row, column)))
                        .map(|at| values[at])
                        .collect();
                    first = Tensor::f32(&[columns, rows], &turned);
                }
                other => panic!("single_file.json has {other}"),
            }
            first
        }
    };
    held.into_iter().map(|(name, held)| (name, tensor(held))).collect()
}

/// Writes a safetensors file.
pub fn write(path: &Path, tensors: &Tensors) {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, Tensor { dtype, dims, bytes }) in tensors {
        let begin = end;
        end += bytes.len();
        let entry =
            serde_json::json!({"dtype": dtype, "shape": dims, "data_offsets": [begin, end]});
        header.insert(name.clone(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    for tensor in tensors.values() {
        file.extend(&tensor.bytes);
    }
    fs::write(path, file).unwrap();
}

/// The float32 values that torch gives for the 256 bytes of a float8 type: `float8_e4m3fn` or
/// `float8_e5m2`.
pub fn float8(kind: &str) -> Vec<f32> {
    let path = repository("tests/fixtures/float8.json");
    let tables: BTreeMap<String, Vec<u32>> =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    tables[kind].iter().map(|bits| f32::from_bits(*bits)).collect()
}
