//! How do the matrices of one layer become a change of its weight, and do their shapes fit?
//!
//! All shapes are checked when a file is opened, before a weight is changed. A weight `[out, in,
//! height, width]` counts as a matrix of `out` rows and `in * height * width` columns, and so do
//! the tensors of a file.
//!
//! | form | the change, before it is scaled | source |
//! |---|---|---|
//! | LoRA | `up @ down` | arXiv 2106.09685, section 4.1 |
//! | LoRA with a core | `up @ mid @ down` for each place of the kernel | LyCORIS, arXiv 2309.14859 |
//! | LoHa | `(w1_a @ w1_b) * (w2_a @ w2_b)`, element by element | arXiv 2108.06098, proposition 1 |
//! | LoKr | the Kronecker product of `w1` and `w2`, each whole or a product | arXiv 2309.14859, section 3.2 |

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use preheat_tensor::Dtype;

use super::key::Part;
use super::names::NamedWeight;
use super::{LoraError, LoraMisfit, LoraRankMisfit};

/// A tensor of a LoRA file. Its values are read when they are needed.
#[derive(Debug, Clone)]
pub(super) struct LoraTensor {
    /// Its name in the file.
    pub(super) key: String,
    pub(super) dims: Vec<u64>,
    pub(super) dtype: Option<Dtype>,
    pub(super) dtype_name: String,
    /// The range of its bytes in the file.
    pub(super) range: Range<usize>,
}

impl LoraTensor {
    /// The first dimension, and the product of the others.
    pub(super) fn sides(&self) -> [u64; 2] {
        let rest = self.dims.iter().skip(1).copied().fold(1, u64::saturating_mul);
        [self.dims.first().copied().unwrap_or(1), rest]
    }
}

/// How a layer's change is computed.
#[derive(Debug)]
pub(super) enum Network {
    Product { up: LoraTensor, down: LoraTensor, mid: Option<LoraTensor> },
    Hadamard { first: Pair, second: Pair },
    Kronecker { first: Factor, second: Factor },
}

/// Two matrices, with the core between them if there is one.
#[derive(Debug)]
pub(super) struct Pair {
    a: LoraTensor,
    b: LoraTensor,
    core: Option<LoraTensor>,
}

/// A factor of a Kronecker product.
#[derive(Debug)]
pub(super) enum Factor {
    Whole(LoraTensor),
    Product(Pair),
}

/// Reads the values of a tensor as a matrix of its sides.
pub(super) trait Values {
    fn matrix(&self, tensor: &LoraTensor) -> Result<Array2<f32>, LoraError>;
}

/// The facts that an error about a layer's tensors names.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) path: &'a Path,
    pub(super) weight: &'a NamedWeight,
    pub(super) seems: Option<&'static str>,
}

impl Of<'_> {
    /// Rows and columns of the weight.
    fn sides(self) -> [u64; 2] {
        let dims = &self.weight.dims;
        [dims[0], dims.iter().skip(1).product()]
    }

    pub(super) fn misfit(self, tensor: &LoraTensor, why: String) -> LoraError {
        LoraError::Shape(Box::new(LoraMisfit {
            path: self.path.to_owned(),
            key: tensor.key.clone(),
            found: tensor.dims.clone(),
            why,
            weight: self.weight.name.clone(),
            wanted: self.weight.dims.clone(),
            seems: self.seems,
        }))
    }

    fn rank(self, one: &LoraTensor, other: &LoraTensor) -> LoraError {
        LoraError::Rank(Box::new(LoraRankMisfit {
            path: self.path.to_owned(),
            key: one.key.clone(),
            found: one.dims.clone(),
            other: other.key.clone(),
            other_found: other.dims.clone(),
        }))
    }

    fn lacks(self, tensor: &LoraTensor, lacks: &'static str) -> LoraError {
        LoraError::Incomplete { path: self.path.to_owned(), key: tensor.key.clone(), lacks }
    }

    fn outputs(self, tensor: &LoraTensor, have: u64) -> Result<(), LoraError> {
        if have == self.sides()[0] {
            Ok(())
        } else {
            Err(self.misfit(tensor, sized(have, "output")))
        }
    }

    fn inputs(self, tensor: &LoraTensor, have: u64) -> Result<(), LoraError> {
        if have == self.sides()[1] {
            Ok(())
        } else {
            Err(self.misfit(tensor, sized(have, "input")))
        }
    }
}

fn sized(count: u64, what: &str) -> String {
    format!("for {count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The tensors of one layer. A network removes the tensors that it uses.
pub(super) type Parts = BTreeMap<Part, LoraTensor>;

impl Network {
    /// The network that a layer's tensors make; `None` if they belong to no known form.
    pub(super) fn of(parts: &mut Parts, of: Of<'_>) -> Result<Option<Self>, LoraError> {
        let network = match (parts.remove(&Part::Up), parts.remove(&Part::Down)) {
            (Some(up), Some(down)) => {
                Some(Self::Product { up, down, mid: parts.remove(&Part::Mid) })
            }
            (Some(up), None) => return Err(of.lacks(&up, "the other matrix, `down` or `A`,")),
            (None, Some(down)) => return Err(of.lacks(&down, "the other matrix, `up` or `B`,")),
            (None, None) => Self::of_lycoris(parts, of)?,
        };
        if let Some(network) = &network {
            network.check(of)?;
        }
        Ok(network)
    }

    fn of_lycoris(parts: &mut Parts, of: Of<'_>) -> Result<Option<Self>, LoraError> {
        let first = pair(parts, of, [Part::HadaW1A, Part::HadaW1B, Part::HadaT1])?;
        let second = pair(parts, of, [Part::HadaW2A, Part::HadaW2B, Part::HadaT2])?;
        match (first, second) {
            (Some(first), Some(second)) => return Ok(Some(Self::Hadamard { first, second })),
            (Some(one), None) => return Err(of.lacks(&one.a, "`hada_w2_a`")),
            (None, Some(one)) => return Err(of.lacks(&one.a, "`hada_w1_a`")),
            (None, None) => {}
        }
        let core = parts.remove(&Part::LokrT2);
        let mut factor = |whole: Part, a: Part, b: Part| {
            let product = pair(parts, of, [a, b, Part::LokrT2])?;
            Ok(parts.remove(&whole).map(Factor::Whole).or(product.map(Factor::Product)))
        };
        let first = factor(Part::LokrW1, Part::LokrW1A, Part::LokrW1B)?;
        let mut second = factor(Part::LokrW2, Part::LokrW2A, Part::LokrW2B)?;
        if let Some(Factor::Product(second)) = &mut second {
            second.core = core;
        }
        match (first, second) {
            (Some(first), Some(second)) => Ok(Some(Self::Kronecker { first, second })),
            (Some(one), None) => Err(of.lacks(one.tensor(), "`lokr_w2`")),
            (None, Some(one)) => Err(of.lacks(one.tensor(), "`lokr_w1`")),
            (None, None) => Ok(None),
        }
    }

    fn check(&self, of: Of<'_>) -> Result<(), LoraError> {
        match self {
            Self::Product { up, down, mid: None } => {
                let ([rows, rank], [own_rank, columns]) = (up.sides(), down.sides());
                of.outputs(up, rows)?;
                of.inputs(down, columns)?;
                if rank == own_rank && rank != 0 { Ok(()) } else { Err(of.rank(up, down)) }
            }
            Self::Product { up, down, mid: Some(mid) } => {
                let [rows, columns] = core_sides(of, [up, down], mid, false)?;
                of.outputs(up, rows)?;
                of.inputs(down, columns)
            }
            Self::Hadamard { first, second } => {
                for pair in [first, second] {
                    let [rows, columns] = pair.sides(of)?;
                    of.outputs(&pair.a, rows)?;
                    of.inputs(&pair.b, columns)?;
                }
                Ok(())
            }
            Self::Kronecker { first, second } => {
                let ([rows, columns], [more_rows, more_columns]) =
                    (first.sides(of)?, second.sides(of)?);
                of.outputs(second.tensor(), rows.saturating_mul(more_rows))?;
                of.inputs(second.tensor(), columns.saturating_mul(more_columns))
            }
        }
    }

    /// The rank that an alpha is divided by. `None` if both factors of a Kronecker product are
    /// whole: alpha then has no effect.
    pub(super) fn rank(&self) -> Option<u64> {
        let of_pair = |pair: &Pair| pair.b.sides()[0];
        match self {
            Self::Product { down, .. } => Some(down.sides()[0]),
            Self::Hadamard { first, .. } => Some(of_pair(first)),
            Self::Kronecker { first, second } => [second, first].iter().find_map(|factor| {
                if let Factor::Product(pair) = factor { Some(of_pair(pair)) } else { None }
            }),
        }
    }

    /// Reads the matrices of the change.
    pub(super) fn ready(&self, values: &impl Values) -> Result<ReadyNetwork, LoraError> {
        Ok(match self {
            Self::Product { up, down, mid: None } => {
                ReadyNetwork::Product { up: values.matrix(up)?, down: values.matrix(down)? }
            }
            Self::Product { up, down, mid: Some(mid) } => {
                let (up, down) = (values.matrix(up)?, values.matrix(down)?);
                ReadyNetwork::Whole(through_core(&up.view(), mid, &down.view(), values)?)
            }
            Self::Hadamard { first, second } => {
                ReadyNetwork::Whole(first.product(values)? * second.product(values)?)
            }
            Self::Kronecker { first, second } => ReadyNetwork::Kronecker {
                first: first.matrix(values)?,
                second: second.matrix(values)?,
            },
        })
    }
}

/// A layer's change, with its matrices in memory.
#[derive(Debug)]
pub(super) enum ReadyNetwork {
    Product { up: Array2<f32>, down: Array2<f32> },
    Kronecker { first: Array2<f32>, second: Array2<f32> },
    Whole(Array2<f32>),
}

impl ReadyNetwork {
    /// Adds the change, multiplied by `scale`, to rows of a weight, of which `start` is the number
    /// of the first one.
    pub(super) fn add_to(&self, weight: &mut ArrayViewMut2<'_, f32>, start: usize, scale: f32) {
        let rows = start..start + weight.nrows();
        match self {
            Self::Product { up, down } => {
                general_mat_mul(scale, &up.slice(s![rows, ..]), down, 1.0, weight);
            }
            Self::Kronecker { first, second } => {
                let (height, width) = second.dim();
                for (mut to, row) in weight.rows_mut().into_iter().zip(rows) {
                    let from = second.row(row % height);
                    for (block, &factor) in first.row(row / height).iter().enumerate() {
                        let left = block * width;
                        to.slice_mut(s![left..left + width]).scaled_add(scale * factor, &from);
                    }
                }
            }
            Self::Whole(change) => weight.scaled_add(scale, &change.slice(s![rows, ..])),
        }
    }
}

impl Pair {
    /// Rows and columns of the product.
    fn sides(&self, of: Of<'_>) -> Result<[u64; 2], LoraError> {
        if let Some(core) = &self.core {
            return core_sides(of, [&self.a, &self.b], core, true);
        }
        let ([rows, rank], [own_rank, columns]) = (self.a.sides(), self.b.sides());
        if rank != own_rank || rank == 0 {
            return Err(of.rank(&self.a, &self.b));
        }
        Ok([rows, columns])
    }

    fn product(&self, values: &impl Values) -> Result<Array2<f32>, LoraError> {
        let (a, b) = (values.matrix(&self.a)?, values.matrix(&self.b)?);
        match &self.core {
            Some(core) => through_core(&a.t(), core, &b.view(), values),
            None => Ok(a.dot(&b)),
        }
    }
}

impl Factor {
    /// The tensor that an error names.
    fn tensor(&self) -> &LoraTensor {
        match self {
            Self::Whole(tensor) => tensor,
            Self::Product(pair) => &pair.a,
        }
    }

    fn sides(&self, of: Of<'_>) -> Result<[u64; 2], LoraError> {
        match self {
            Self::Whole(tensor) => Ok(tensor.sides()),
            Self::Product(pair) => pair.sides(of),
        }
    }

    fn matrix(&self, values: &impl Values) -> Result<Array2<f32>, LoraError> {
        match self {
            Self::Whole(tensor) => values.matrix(tensor),
            Self::Product(pair) => pair.product(values),
        }
    }
}

fn pair(parts: &mut Parts, of: Of<'_>, names: [Part; 3]) -> Result<Option<Pair>, LoraError> {
    let [a, b, core] = names.map(|name| parts.remove(&name));
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some(Pair { a, b, core })),
        (Some(one), None) => Err(of.lacks(&one, "the tensor that ends in `_b`")),
        (None, Some(one)) => Err(of.lacks(&one, "the tensor that ends in `_a`")),
        (None, None) => match core {
            Some(core) => Err(of.lacks(&core, "the tensors that end in `_a` and `_b`")),
            None => Ok(None),
        },
    }
}

/// Rows and columns of a product with a core `[rank, rank, height, width]` in it. If `is_turned`,
/// the left matrix is `[rank, out]` instead of `[out, rank]`.
fn core_sides(
    of: Of<'_>,
    [left, right]: [&LoraTensor; 2],
    core: &LoraTensor,
    is_turned: bool,
) -> Result<[u64; 2], LoraError> {
    let ([mut rows, mut rank], [own_rank, columns]) = (left.sides(), right.sides());
    if is_turned {
        (rows, rank) = (rank, rows);
    }
    let [first, second, kernel @ ..] = core.dims.as_slice() else {
        return Err(of.rank(core, left));
    };
    if *first != rank || rank == 0 {
        return Err(of.rank(core, left));
    }
    if *second != own_rank {
        return Err(of.rank(core, right));
    }
    Ok([rows, kernel.iter().copied().fold(columns, u64::saturating_mul)])
}

/// `left @ core @ right` for each place of the core's kernel. In the columns of the result, the
/// place in the kernel varies fastest.
fn through_core(
    left: &ArrayView2<'_, f32>,
    core: &LoraTensor,
    right: &ArrayView2<'_, f32>,
    values: &impl Values,
) -> Result<Array2<f32>, LoraError> {
    let (first, second) = (left.ncols(), right.nrows());
    let core = values.matrix(core)?;
    let places = core.ncols() / second.max(1);
    let mut result = Array2::zeros((left.nrows(), right.ncols() * places));
    for place in 0..places {
        let at = Array2::from_shape_fn((first, second), |(row, column)| {
            core[(row, column * places + place)]
        });
        result.slice_mut(s![.., place..;places]).assign(&left.dot(&at.dot(right)));
    }
    Ok(result)
}
