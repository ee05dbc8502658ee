//! Which small functions must every back end compute as `reference.rs` does? Together they use
//! every op in every way that matters.

use preheat::Dtype;
use preheat_ir::graph::{
    Attention, BinaryOp, FunctionBuilder, GraphError, Norm, UnaryOp, Value, Verified, autocast,
};
use preheat_tensor::TensorType;

use super::reference::Array;

/// A function, and how close its results must be to the reference's.
pub struct Case {
    pub name: &'static str,
    pub function: Verified,
    /// The largest difference, relative to 1 + the largest expected result.
    pub tolerance: f64,
}

const F32: f64 = 2e-6;

type Build = fn(&mut FunctionBuilder) -> Result<Value, GraphError>;

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = BUILDS.iter().map(|&(name, build)| case(name, build, F32)).collect();
    for (name, dtype, tolerance) in
        [("block in bfloat16", Dtype::BFloat16, 0.04), ("block in float16", Dtype::Float16, 0.005)]
    {
        let function = autocast(&function(name, block), dtype).unwrap();
        cases.push(Case { name, function, tolerance });
    }
    for (name, build, dtype, tolerance) in LOW {
        let function = autocast(&function(name, *build), *dtype).unwrap();
        cases.push(Case { name, function, tolerance: *tolerance });
    }
    cases
}

fn case(name: &'static str, build: Build, tolerance: f64) -> Case {
    Case { name, function: function(name, build), tolerance }
}

pub fn function(name: &str, build: Build) -> Verified {
    let mut b = FunctionBuilder::new(name);
    let y = build(&mut b).unwrap();
    b.output("y", y);
    b.finish().unwrap()
}

/// Makes the inputs and weights of a function, in the declared dtypes. The numbers are the same in
/// each call. Some indices into tables are a little outside of the table.
pub fn given(function: &Verified) -> (Vec<Array>, Vec<Array>) {
    let mut state = 0x9E37_79B9_u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX)
    };
    let mut fill = |kind: &TensorType| {
        let values = (0..kind.elements()).map(|_| match kind.dtype {
            Dtype::Int32 => (next() * 9.0).floor() - 1.0,
            Dtype::BFloat16 => half::bf16::from_f64(2.0 * next() - 1.0).to_f64(),
            Dtype::Float16 => half::f16::from_f64(2.0 * next() - 1.0).to_f64(),
            _ => f64::from((2.0 * next() - 1.0) as f32),
        });
        Array::new(&kind.dims, values.collect())
    };
    let inputs = function.inputs().iter().map(|decl| fill(&decl.kind)).collect();
    (inputs, function.weights().iter().map(|decl| fill(&decl.kind)).collect())
}

fn f32s(b: &mut FunctionBuilder, name: &str, dims: &[u64]) -> Value {
    b.input(name, TensorType::new(Dtype::Float32, dims))
}

fn ints(b: &mut FunctionBuilder, name: &str, dims: &[u64]) -> Value {
    b.input(name, TensorType::new(Dtype::Int32, dims))
}

fn conv(
    b: &mut FunctionBuilder,
    x: Value,
    name: &str,
    out: u64,
    kernel: u64,
    at: [u64; 2],
) -> Result<Value, GraphError> {
    let channels = b.dims(x)[1];
    let weight = b.weight(format!("{name}.weight"), [out, channels, kernel, kernel]);
    let bias = b.weight(format!("{name}.bias"), [out]);
    b.conv2d(x, weight, Some(bias), at[0], at[1])
}

fn linear(b: &mut FunctionBuilder, x: Value, name: &str, out: u64) -> Result<Value, GraphError> {
    let features = *b.dims(x).last().unwrap();
    let weight = b.weight(format!("{name}.weight"), [out, features]);
    let bias = b.weight(format!("{name}.bias"), [out]);
    b.linear(x, weight, Some(bias))
}

fn norm(b: &mut FunctionBuilder, x: Value, name: &str, size: u64) -> Norm {
    let weight = b.weight(format!("{name}.weight"), [size]);
    let bias = b.weight(format!("{name}.bias"), [size]);
    Norm { x, weight, bias, eps: 1e-5 }
}

fn attend(
    b: &mut FunctionBuilder,
    rows: [u64; 2],
    sizes: [u64; 3],
    causal: bool,
) -> Result<Value, GraphError> {
    let [batch, heads, d] = sizes;
    let query = f32s(b, "query", &[batch, rows[0], heads * d]);
    let key = f32s(b, "key", &[batch, rows[1], heads * d]);
    let value = f32s(b, "value", &[batch, rows[1], heads * (d + 1)]);
    let query = b.scale(query, 4.0)?;
    b.attention(Attention { query, key, value, heads, scale: 0.4, causal, upcast: false })
}

fn unary(b: &mut FunctionBuilder, op: UnaryOp) -> Result<Value, GraphError> {
    let x = f32s(b, "x", &[5, 33]);
    let x = b.scale(x, 6.0)?;
    b.unary(op, x)
}

/// A small block of the parts that a UNet has: skips, both kinds of norm, both kinds of attention,
/// and a time embedding.
pub fn block(b: &mut FunctionBuilder) -> Result<Value, GraphError> {
    let x = f32s(b, "x", &[2, 4, 6, 10]);
    let time = f32s(b, "time", &[2, 8]);
    let context = f32s(b, "context", &[2, 7, 12]);
    let x = conv(b, x, "conv_in", 8, 3, [1, 1])?;
    let skip = x;
    let x = {
        let norm = norm(b, x, "norm1", 8);
        b.group_norm(norm, 4)?
    };
    let x = b.unary(UnaryOp::Silu, x)?;
    let x = conv(b, x, "conv1", 8, 3, [1, 1])?;
    let time = linear(b, time, "time", 8)?;
    let time = b.reshape(time, [2, 8, 1, 1])?;
    let x = b.add(x, time)?;
    let x = b.add(x, skip)?;
    let down = conv(b, x, "down", 8, 3, [2, 1])?;
    let [_, c, h, w] = b.dims(down).try_into().unwrap();
    let rows = b.permute(down, [0, 2, 3, 1])?;
    let rows = b.reshape(rows, [2, h * w, c])?;
    let normal = {
        let norm = norm(b, rows, "norm2", c);
        b.layer_norm(norm)?
    };
    let query = linear(b, normal, "to_q", c)?;
    let key = linear(b, normal, "to_k", c)?;
    let value = linear(b, normal, "to_v", c)?;
    let x = b.attention(Attention {
        query,
        key,
        value,
        heads: 2,
        scale: 0.5,
        causal: false,
        upcast: true,
    })?;
    let rows = b.add(rows, x)?;
    let query = linear(b, rows, "cross.to_q", c)?;
    let key = linear(b, context, "cross.to_k", c)?;
    let value = linear(b, context, "cross.to_v", c)?;
    let x = b.attention(Attention {
        query,
        key,
        value,
        heads: 2,
        scale: 0.5,
        causal: false,
        upcast: false,
    })?;
    let rows = b.add(rows, x)?;
    let wide = linear(b, rows, "geglu", 2 * c)?;
    let (x, gate) = (b.slice(wide, 2, 0, c)?, b.slice(wide, 2, c, 2 * c)?);
    let gate = b.unary(UnaryOp::Gelu, gate)?;
    let x = b.mul(x, gate)?;
    let rows = b.add(rows, x)?;
    let x = b.reshape(rows, [2, h, w, c])?;
    let x = b.permute(x, [0, 3, 1, 2])?;
    let x = b.upsample(x, [6, 10])?;
    let x = b.concat([x, skip], 1)?;
    conv(b, x, "conv_out", 4, 1, [1, 0])
}

const LOW: &[(&str, Build, Dtype, f64)] = &[
    ("causal attention in bfloat16", |b| attend(b, [9, 9], [2, 3, 4], true), Dtype::BFloat16, 0.02),
    ("gelu in bfloat16", |b| unary(b, UnaryOp::Gelu), Dtype::BFloat16, 0.02),
];

const BUILDS: &[(&str, Build)] = &[
    ("exp", |b| unary(b, UnaryOp::Exp)),
    ("sin", |b| unary(b, UnaryOp::Sin)),
    ("cos", |b| unary(b, UnaryOp::Cos)),
    ("sigmoid", |b| unary(b, UnaryOp::Sigmoid)),
    ("silu", |b| unary(b, UnaryOp::Silu)),
    ("gelu", |b| unary(b, UnaryOp::Gelu)),
    ("quick_gelu", |b| unary(b, UnaryOp::QuickGelu)),
    ("arithmetic", |b| {
        let (x, y) = (f32s(b, "x", &[3, 5]), f32s(b, "y", &[3, 1]));
        let z = f32s(b, "z", &[]);
        let sum = b.add(x, y)?;
        let difference = b.binary(BinaryOp::Sub, y, x)?;
        let product = b.mul(sum, z)?;
        let three = b.scalar(3.0);
        let shifted = b.add(difference, three)?;
        let quotient = b.binary(BinaryOp::Div, product, shifted)?;
        let least = b.binary(BinaryOp::Min, quotient, x)?;
        b.binary(BinaryOp::Max, least, difference)
    }),
    ("literal", |b| {
        let x = f32s(b, "x", &[2, 3]);
        let literal = b.literal([2, 3], [0.1, -2.5, 1e-20, 3e20, 0.0, 7.0])?;
        let same = b.literal([2, 1], [1.5, 1.5])?;
        let x = b.mul(x, literal)?;
        b.add(x, same)
    }),
    ("conv 3x3", |b| {
        let x = f32s(b, "x", &[2, 3, 7, 5]);
        conv(b, x, "conv", 6, 3, [1, 1])
    }),
    ("conv 3x3 stride 2 odd", |b| {
        let x = f32s(b, "x", &[1, 4, 9, 6]);
        conv(b, x, "conv", 2, 3, [2, 1])
    }),
    ("conv 1x1 without bias", |b| {
        let x = f32s(b, "x", &[2, 5, 3, 4]);
        let weight = b.weight("weight", [7, 5, 1, 1]);
        b.conv2d(x, weight, None, 1, 0)
    }),
    ("conv without padding", |b| {
        let x = f32s(b, "x", &[1, 2, 6, 6]);
        conv(b, x, "conv", 3, 3, [1, 0])
    }),
    ("linear of a vector", |b| {
        let x = f32s(b, "x", &[5]);
        linear(b, x, "proj", 4)
    }),
    ("linear of three dimensions", |b| {
        let x = f32s(b, "x", &[2, 7, 5]);
        linear(b, x, "proj", 4)
    }),
    ("linear of what is held otherwise", |b| {
        let x = f32s(b, "x", &[2, 3, 4, 5]);
        let x = conv(b, x, "conv", 6, 1, [1, 0])?;
        let x = linear(b, x, "rows", 7)?;
        let x = b.permute(x, [0, 3, 2, 1])?;
        linear(b, x, "channels", 2)
    }),
    ("a matrix read as table and as projection", |b| {
        let (x, ids) = (f32s(b, "x", &[2, 3]), ints(b, "ids", &[4]));
        let weight = b.weight("weight", [5, 3]);
        let x = b.linear(x, weight, None)?;
        let rows = b.embedding(weight, ids)?;
        let x = b.reshape(x, [10, 1])?;
        let x = b.slice(x, 0, 2, 6)?;
        b.mul(rows, x)
    }),
    ("group norm", |b| {
        let x = f32s(b, "x", &[2, 6, 5, 3]);
        let norm = norm(b, x, "norm", 6);
        b.group_norm(norm, 3)
    }),
    ("group norm far from zero", |b| {
        let x = f32s(b, "x", &[1, 4, 8, 8]);
        let hundred = b.scalar(100.0);
        let x = b.add(x, hundred)?;
        let norm = norm(b, x, "norm", 4);
        let y = b.group_norm(norm, 1)?;
        // In f32, values of about 100 are rounded by more than the tolerance allows for normalised
        // values. The factor makes this error small enough.
        b.scale(y, 0.05)
    }),
    ("layer norm", |b| {
        let x = f32s(b, "x", &[2, 3, 11]);
        let norm = norm(b, x, "norm", 11);
        b.layer_norm(norm)
    }),
    ("layer norm of what is held otherwise", |b| {
        let x = f32s(b, "x", &[2, 11, 3]);
        let x = b.permute(x, [2, 0, 1])?;
        let norm = norm(b, x, "norm", 11);
        b.layer_norm(norm)
    }),
    ("attention", |b| attend(b, [6, 6], [2, 3, 5], false)),
    ("attention to others", |b| attend(b, [9, 4], [3, 2, 8], false)),
    ("attention with one head", |b| attend(b, [7, 7], [1, 1, 16], false)),
    ("causal attention", |b| attend(b, [13, 13], [2, 2, 4], true)),
    ("attention in blocks", |b| attend(b, [1500, 1500], [1, 2, 2], false)),
    ("attention in blocks of one head", |b| attend(b, [1601, 1601], [1, 1, 2], false)),
    ("causal attention in blocks", |b| attend(b, [1453, 1453], [2, 1, 2], true)),
    ("upsample twice", |b| {
        let x = f32s(b, "x", &[2, 3, 4, 5]);
        b.upsample(x, [8, 10])
    }),
    ("upsample to odd sizes", |b| {
        let x = f32s(b, "x", &[1, 3, 5, 4]);
        let x = conv(b, x, "conv", 2, 1, [1, 0])?;
        b.upsample(x, [9, 7])
    }),
    ("upsample unevenly", |b| {
        let x = f32s(b, "x", &[1, 2, 5, 7]);
        b.upsample(x, [8, 24])
    }),
    ("upsample not at all", |b| {
        let x = f32s(b, "x", &[1, 2, 3, 3]);
        b.upsample(x, [3, 9])
    }),
    ("concat and slice", |b| {
        let (x, y) = (f32s(b, "x", &[2, 3, 4, 5]), f32s(b, "y", &[2, 2, 4, 5]));
        let y = conv(b, y, "conv", 4, 3, [1, 1])?;
        let joined = b.concat([x, y, x], 1)?;
        let middle = b.slice(joined, 1, 2, 8)?;
        let right = b.slice(middle, 3, 1, 4)?;
        b.concat([right, right], 2)
    }),
    ("concat of one", |b| {
        let x = f32s(b, "x", &[2, 3]);
        b.concat([x], 0)
    }),
    ("reshapes of what is held channels last", |b| {
        let x = f32s(b, "x", &[2, 3, 4, 5]);
        let x = conv(b, x, "conv", 6, 3, [1, 1])?;
        let rows = b.reshape(x, [2, 6, 20])?;
        let rows = b.permute(rows, [0, 2, 1])?;
        let back = b.permute(rows, [0, 2, 1])?;
        let back = b.reshape(back, [2, 6, 4, 5])?;
        let sum = b.add(back, x)?;
        let odd = b.reshape(sum, [3, 4, 20])?;
        let split = b.reshape(sum, [1, 2, 2, 3, 20, 1])?;
        let split = b.reshape(split, [3, 4, 20])?;
        b.mul(odd, split)
    }),
    ("permute", |b| {
        let x = f32s(b, "x", &[2, 3, 4]);
        let y = b.permute(x, [2, 0, 1])?;
        let z = b.permute(y, [2, 0, 1])?;
        let w = b.permute(z, [2, 0, 1])?;
        let sum = b.add(x, w)?;
        b.permute(sum, [1, 2, 0])
    }),
    ("operands held differently", |b| {
        let (x, y) = (f32s(b, "x", &[2, 3, 4]), f32s(b, "y", &[4, 1, 2]));
        let y = b.permute(y, [2, 1, 0])?;
        let small = b.reshape(y, [1, 8, 1])?;
        let small = b.slice(small, 1, 0, 3)?;
        let z = b.mul(y, x)?;
        b.add(small, z)
    }),
    ("broadcast", |b| {
        let x = f32s(b, "x", &[3, 1, 2, 1]);
        let x = b.permute(x, [1, 0, 3, 2])?;
        b.broadcast(x, [4, 3, 5, 2])
    }),
    ("embedding", |b| {
        let ids = ints(b, "ids", &[2, 5]);
        let table = b.weight("table", [6, 3]);
        b.embedding(table, ids)
    }),
    ("select_row", |b| {
        let (x, rows) = (f32s(b, "x", &[4, 6, 3]), ints(b, "rows", &[4]));
        b.select_row(x, rows)
    }),
    ("convert", |b| {
        let x = f32s(b, "x", &[7]);
        let low = b.convert(x, Dtype::BFloat16);
        let high = b.convert(low, Dtype::Float32);
        let difference = b.binary(BinaryOp::Sub, x, high)?;
        let hundredth = b.scale(difference, 1e-4)?;
        b.add(x, hundredth)
    }),
    ("timestep embedding", |b| {
        let t = f32s(b, "t", &[1]);
        let t = b.scale(t, 30.0)?;
        let t = b.reshape(t, [1, 1])?;
        let steps = b.literal([1, 4], [1.0, 0.5, 0.25, 0.125])?;
        let angles = b.mul(t, steps)?;
        let (sin, cos) = (b.unary(UnaryOp::Sin, angles)?, b.unary(UnaryOp::Cos, angles)?);
        let both = b.concat([cos, sin], 1)?;
        b.broadcast(both, [3, 8])
    }),
    ("block", block),
];
