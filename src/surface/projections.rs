//! Which other requests may an executable serve?

/// A projection lets requests share an executable although their signatures differ.
///
/// ```
/// use preheat::{CfgProjection, Dtype, Keep, Projection, create_execution_signature};
///
/// # fn main() -> Result<(), preheat::SignatureError> {
/// // A text encoder reads neither the size nor anything about the steps.
/// let encoder = Projection {
///     input_shape: Keep::Dropped,
///     cfg_scale: CfgProjection::Dropped,
///     scheduler: Keep::Dropped,
///     steps: Keep::Dropped,
///     ..Projection::exact()
/// };
/// let signature = |steps, side| {
///     create_execution_signature("sd15", [1, 4, side, side], 1, 7.5, "euler", steps, Dtype::Float32)
/// };
/// let (small, large) = (signature(20, 64)?, signature(30, 96)?);
/// assert_eq!(small.project(&encoder), large.project(&encoder));
/// # Ok(())
/// # }
/// ```
pub use preheat_cache::Projection;

/// Each field of a projection that has this type is kept or dropped. A field that may shape the
/// graph has to be kept.
///
/// ```
/// use preheat::{Keep, Projection};
///
/// // The number of steps is no part of a graph that computes one step.
/// let step = Projection { steps: Keep::Dropped, ..Projection::exact() };
/// assert_eq!(step.input_shape, Keep::Exact);
/// ```
pub use preheat_cache::Keep;

/// Fine-tunes of one model have the same graphs: a projection on the architecture lets them share
/// their executables.
///
/// ```
/// use preheat::{Digest, ModelProjection, Projection};
///
/// let config = Digest::of(b"the fields that shape the graph, and the names of the weights");
/// let model_id = ModelProjection::Architecture(config);
/// let unet = Projection { model_id, ..Projection::exact() };
/// assert_ne!(unet, Projection::exact());
/// ```
pub use preheat_cache::ModelProjection;

/// A graph that takes the guidance scale as an input depends only on whether there is guidance.
///
/// ```
/// use preheat::{CfgProjection, Dtype, Projection, Signature, create_execution_signature};
///
/// # fn main() -> Result<(), preheat::SignatureError> {
/// let unet = Projection { cfg_scale: CfgProjection::Guided, ..Projection::exact() };
/// let asked =
///     create_execution_signature("sd15", [1, 4, 64, 64], 1, 7.5, "euler", 20, Dtype::Float32)?;
/// let stronger = Signature { cfg_scale: 9.0, ..asked.clone() };
/// let unguided = Signature { cfg_scale: 1.0, ..asked.clone() };
/// assert_eq!(asked.project(&unet), stronger.project(&unet));
/// assert_ne!(asked.project(&unet), unguided.project(&unet));
/// # Ok(())
/// # }
/// ```
pub use preheat_cache::CfgProjection;

/// If the executable of a request's own size is not warm, a padding lets a larger warm executable
/// serve the request ([`Runtime::get_or_snap`](crate::Runtime::get_or_snap)).
///
/// ```
/// use preheat::{Padding, Scaled};
///
/// // A decoder of f32[1, 4, height / 8, width / 8] to f32[1, 3, height, width]; its signatures
/// // have the input's shape.
/// let [rows, columns] = [2, 3].map(|side| Scaled { dimension: side, of: side, factor: 1 });
/// let [pixel_rows, pixel_columns] =
///     [2, 3].map(|side| Scaled { dimension: side, of: side, factor: 8 });
/// let padding = Padding::default()
///     .input(0, rows)
///     .input(0, columns)
///     .output(0, pixel_rows)
///     .output(0, pixel_columns);
/// # let _ = padding;
/// ```
pub use preheat_runtime::Padding;

/// A dimension of a tensor is declared as a multiple of one number of the signature's shape.
///
/// ```
/// use preheat::{Padding, Scaled};
///
/// // Dimension 2 of the output is 8 times the height of the latents, which is number 2 of
/// // `input_shape`.
/// let pixel_rows = Scaled { dimension: 2, of: 2, factor: 8 };
/// let padding = Padding::default().output(0, pixel_rows);
/// # let _ = padding;
/// ```
pub use preheat_runtime::Scaled;

/// A percentage limits how much of a larger size may be wasted.
///
/// ```
/// use preheat::Percent;
///
/// let most_waste: Percent = "50".parse().expect("it is between 0 and 100");
/// assert!(Percent::wasted(512 * 512, 512 * 768) < most_waste);
/// assert_eq!(Percent::new(101.0), None);
/// ```
pub use preheat_runtime::Percent;
