//! How does a picture keep the parts that a mask leaves out?
//!
//! Between two calls of the step graph, latents outside the mask are replaced by those of the
//! picture, with as much noise as the next call expects. This graph is apart from the step graph,
//! so that inpainting needs no other step graph than text to image.

use preheat_cache::Digest;
use preheat_ir::graph::{BinaryOp, FunctionBuilder, GraphError, Verified};
use preheat_tensor::{Dtype, TensorType};

use super::architecture::without_a_model;

/// The digest that stands for this graph in keys: it has no weights and no config.
pub fn latent_blend_architecture() -> Digest {
    without_a_model("latent_blend")
}

/// The graph of a blend.
///
/// Inputs, all f32: `latents`, `image` and `noise`, each of the shape `dims`, which is `[batch,
/// channels, height, width]`; `mask [1, 1, height, width]`, which is 1 where the latents stay and 0
/// where the picture is kept; and `scalars [2]`, the factors of `image` and of `noise`. Output:
/// `latents`, the blended ones.
///
/// # Errors
/// If the graph cannot be built at that size.
pub fn latent_blend(dims: [u64; 4]) -> Result<Verified, GraphError> {
    let mut b = FunctionBuilder::new("latent_blend");
    let [_, _, height, width] = dims;
    let [latents, image, noise] = ["latents", "image", "noise"]
        .map(|name| b.input(name, TensorType::new(Dtype::Float32, dims)));
    let mask = b.input("mask", TensorType::new(Dtype::Float32, [1, 1, height, width]));
    let scalars = b.input("scalars", TensorType::new(Dtype::Float32, [2]));
    let factor = |b: &mut FunctionBuilder, at: u64| {
        let one = b.slice(scalars, 0, at, at + 1)?;
        b.reshape(one, [])
    };
    let (of_image, of_noise) = (factor(&mut b, 0)?, factor(&mut b, 1)?);
    let image = b.mul(image, of_image)?;
    let noise = b.mul(noise, of_noise)?;
    let kept = b.add(image, noise)?;
    let mask = b.broadcast(mask, dims)?;
    let one = b.scalar(1.0);
    let outside = b.binary(BinaryOp::Sub, one, mask)?;
    let kept = b.mul(kept, outside)?;
    let changed = b.mul(latents, mask)?;
    let blended = b.add(kept, changed)?;
    b.output("latents", blended);
    b.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blend_takes_what_its_documentation_says_and_belongs_to_no_model() {
        let graph = latent_blend([2, 4, 8, 12]).unwrap();
        let inputs: Vec<String> =
            graph.inputs().iter().map(|input| format!("{} {}", input.name, input.kind)).collect();
        let of = |name: &str| format!("{name} float32[2, 4, 8, 12]");
        let [latents, image, noise] = ["latents", "image", "noise"].map(of);
        let (mask, scalars) = ("mask float32[1, 1, 8, 12]".to_owned(), "scalars float32[2]".into());
        assert_eq!(inputs, [latents.clone(), image, noise, mask, scalars]);
        let output = &graph.outputs()[0];
        assert_eq!(format!("{} {}", output.name, graph.type_of(output.value)), latents);
        assert!(graph.weights().is_empty() && latent_blend([2, 4, 0, 12]).is_err());
    }
}
