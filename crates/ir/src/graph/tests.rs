//! Do the builder, the verifier and autocast keep and check the rules?

use std::collections::{BTreeMap, BTreeSet};

use preheat_tensor::Dtype;

use super::{
    Attention, BinaryOp, Function, FunctionBuilder, GraphError, InputDecl, Node, Norm, Op,
    OutputDecl, TensorType, UnaryOp, Value, Verified, WeightDecl, autocast,
};

fn f32s(dims: impl Into<Vec<u64>>) -> TensorType {
    TensorType::new(Dtype::Float32, dims)
}

/// The error that the builder returns for one op on these inputs.
fn refusal(
    inputs: &[TensorType],
    op: impl FnOnce(&mut FunctionBuilder, &[Value]) -> Result<Value, GraphError>,
) -> String {
    let mut b = FunctionBuilder::new("wrong");
    let values: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, kind)| b.input(format!("x{index}"), kind.clone()))
        .collect();
    op(&mut b, &values).unwrap_err().to_string()
}

fn norm(x: &[Value], eps: f32) -> Norm {
    Norm { x: x[0], weight: x[1], bias: x[2], eps }
}

fn attention(x: &[Value], heads: u64, causal: bool) -> Attention {
    Attention { query: x[0], key: x[1], value: x[2], heads, scale: 1.0, causal, upcast: false }
}

#[test]
fn the_builder_gives_each_op_its_type() {
    let mut b = FunctionBuilder::new("types");
    let x = b.input("x", f32s([2, 6, 9, 7]));
    let kernel = b.weight("kernel", [4, 6, 3, 3]);
    let y = b.conv2d(x, kernel, None, 2, 1).unwrap();
    assert_eq!(b.dims(y), [2, 4, 5, 4]);
    let up = b.upsample(y, [9, 8]).unwrap();
    assert_eq!(b.dims(up), [2, 4, 9, 8]);
    let rows = b.permute(y, [0, 2, 3, 1]).unwrap();
    assert_eq!(b.dims(rows), [2, 5, 4, 4]);
    let rows = b.reshape(rows, [2, 20, 4]).unwrap();
    let matrix = b.weight("matrix", [10, 4]);
    let wide = b.linear(rows, matrix, None).unwrap();
    assert_eq!(b.dims(wide), [2, 20, 10]);
    let half = b.slice(wide, 2, 3, 8).unwrap();
    assert_eq!(b.dims(half), [2, 20, 5]);
    let both = b.concat([half, wide], 2).unwrap();
    assert_eq!(b.dims(both), [2, 20, 15]);
    let ids = b.input("ids", TensorType::new(Dtype::Int32, [2, 3]));
    let found = b.embedding(matrix, ids).unwrap();
    assert_eq!(b.dims(found), [2, 3, 4]);
    let which = b.input("which", TensorType::new(Dtype::Int32, [2]));
    let one = b.select_row(both, which).unwrap();
    assert_eq!(b.dims(one), [2, 15]);
    let column = b.slice(one, 1, 0, 1).unwrap();
    let sum = b.add(column, one).unwrap();
    assert_eq!(b.dims(sum), [2, 15]);
    let low = b.convert(sum, Dtype::BFloat16);
    assert_eq!(b.type_of(low), &TensorType::new(Dtype::BFloat16, [2, 15]));
    b.output("low", low);
    let function = b.finish().unwrap();
    assert_eq!(
        (function.inputs().len(), function.weights().len(), function.name()),
        (3, 2, "types")
    );
}

#[test]
fn the_builder_says_what_does_not_fit() {
    let ints = TensorType::new(Dtype::Int32, [2]);
    let low = TensorType::new(Dtype::BFloat16, [2, 3]);
    let picture = f32s([1, 4, 5, 5]);
    let cases: Vec<(String, &str)> = vec![
        (refusal(&[f32s([2, 3]), f32s([3, 2])], |b, x| b.add(x[0], x[1])), "do not go together"),
        (refusal(&[f32s([2, 3]), f32s([3])], |b, x| b.add(x[0], x[1])), "do not go together"),
        (
            refusal(&[f32s([2, 3]), low.clone()], |b, x| b.add(x[0], x[1])),
            "dtype of the right side",
        ),
        (
            refusal(std::slice::from_ref(&ints), |b, x| b.unary(UnaryOp::Exp, x[0])),
            "float32, bfloat16 or float16",
        ),
        (refusal(&[], |b, _| b.literal([2], [1.0])), "number of values"),
        (
            refusal(&[picture.clone(), f32s([2, 3, 3, 3])], |b, x| {
                b.conv2d(x[0], x[1], None, 1, 1)
            }),
            "channels",
        ),
        (
            refusal(&[picture.clone(), f32s([2, 4, 9, 9])], |b, x| {
                b.conv2d(x[0], x[1], None, 1, 1)
            }),
            "kernel of 9",
        ),
        (
            refusal(&[picture.clone(), f32s([2, 4, 3, 3])], |b, x| {
                b.conv2d(x[0], x[1], None, 0, 1)
            }),
            "stride 0",
        ),
        (refusal(&[f32s([2, 4]), f32s([3, 5])], |b, x| b.linear(x[0], x[1], None)), "features"),
        (
            refusal(&[f32s([2, 4]), f32s([3, 4]), f32s([4])], |b, x| {
                b.linear(x[0], x[1], Some(x[2]))
            }),
            "shape of the bias",
        ),
        (
            refusal(&[picture.clone(), f32s([4]), f32s([4])], |b, x| {
                b.group_norm(norm(x, 1e-5), 3)
            }),
            "3 groups",
        ),
        (
            refusal(&[picture.clone(), f32s([4]), f32s([5])], |b, x| {
                b.group_norm(norm(x, 1e-5), 2)
            }),
            "the shift",
        ),
        (
            refusal(&[f32s([2, 4]), f32s([4]), f32s([4])], |b, x| b.layer_norm(norm(x, f32::NAN))),
            "eps is NaN",
        ),
        (
            refusal(&[f32s([1, 3, 8]), f32s([1, 3, 8]), f32s([1, 3, 8])], |b, x| {
                b.attention(attention(x, 3, false))
            }),
            "3 heads",
        ),
        (
            refusal(&[f32s([1, 3, 8]), f32s([1, 4, 8]), f32s([1, 4, 8])], |b, x| {
                b.attention(attention(x, 2, true))
            }),
            "causal",
        ),
        (
            refusal(std::slice::from_ref(&picture), |b, x| b.upsample(x[0], [4, 9])),
            "cannot be enlarged",
        ),
        (refusal(&[f32s([2, 3]), low], |b, x| b.concat([x[0], x[1]], 0)), "cannot be joined"),
        (refusal(&[], |b, _| b.concat([], 0)), "nothing to join"),
        (refusal(&[f32s([2, 3])], |b, x| b.slice(x[0], 1, 2, 2)), "no part"),
        (refusal(&[f32s([2, 3])], |b, x| b.slice(x[0], 2, 0, 1)), "no axis 2"),
        (refusal(&[f32s([2, 3])], |b, x| b.reshape(x[0], [7])), "number of elements"),
        (refusal(&[f32s([2, 3])], |b, x| b.permute(x[0], [0, 0])), "no order"),
        (refusal(&[f32s([2, 3])], |b, x| b.broadcast(x[0], [2, 4])), "cannot be repeated"),
        (refusal(&[f32s([2, 3]), f32s([2])], |b, x| b.embedding(x[0], x[1])), "positions"),
        (refusal(&[f32s([1, 3, 4]), ints], |b, x| b.select_row(x[0], x[1])), "shape of the rows"),
    ];
    for (said, wanted) in cases {
        assert!(
            said.contains(wanted) && said.starts_with("graph `wrong`, op "),
            "{said:?} does not say {wanted:?}"
        );
    }
}

/// A valid function, for tests to break: `y = x + w`.
fn right() -> Function {
    let mut b = FunctionBuilder::new("right");
    let (x, w) = (b.input("x", f32s([2])), b.weight("w", [2]));
    let y = b.add(x, w).unwrap();
    b.output_into("y", y, x);
    b.finish().unwrap().0
}

#[test]
fn the_verifier_holds_each_rule() {
    type Break = fn(&mut Function);
    let breaks: &[(Break, &str)] = &[
        (|f| f.nodes[2].op = Op::Unary(UnaryOp::Exp, Value(2)), "stands after it"),
        (|f| f.nodes[2].op = Op::Unary(UnaryOp::Exp, Value(9)), "stands after it"),
        (|f| f.nodes[2].kind = f32s([3]), "should be float32[2]"),
        (|f| f.nodes[0].kind = f32s([1]), "not declared with this type"),
        (|f| f.nodes[1].op = Op::Weight(7), "not declared with this type"),
        (|f| f.nodes.push(Node { op: Op::Input(0), kind: f32s([2]) }), "has two nodes"),
        (|f| f.inputs.push(InputDecl { name: "z".to_owned(), kind: f32s([2]) }), "has no node"),
        (
            |f| {
                f.weights.push(WeightDecl { name: "w".to_owned(), kind: f32s([2]) });
                f.nodes.push(Node { op: Op::Weight(1), kind: f32s([2]) });
            },
            "two weights are called w",
        ),
        (|f| f.nodes.push(Node { op: Op::Fill(1.0), kind: f32s([0]) }), "nothing in it"),
        (|f| f.outputs.clear(), "no output"),
        (|f| f.outputs[0].value = Value(5), "is no value"),
        (|f| f.outputs[0].donated = Some(Value(1)), "cannot take over"),
        (|f| f.outputs[0].donated = Some(Value(8)), "cannot take over"),
        (
            |f| {
                f.outputs.push(OutputDecl {
                    name: "z".to_owned(),
                    value: Value(2),
                    donated: Some(Value(0)),
                });
            },
            "cannot take over",
        ),
        (
            |f| f.outputs.push(OutputDecl { donated: None, ..f.outputs[0].clone() }),
            "two outputs are called y",
        ),
    ];
    assert!(right().verify().is_ok());
    for (index, (broken, wanted)) in breaks.iter().enumerate() {
        let mut function = right();
        broken(&mut function);
        let said = function.verify().map(|_| ()).unwrap_err().to_string();
        assert!(said.contains(wanted), "{index}: {said:?} does not say {wanted:?}");
    }
}

/// Declares [`name_of`] and [`EVERY_NAME`]. The match has no wildcard arm, so the code does not
/// compile until a new op is listed here. The test `every_op_is_in_every_op` then fails until
/// [`build_every_op`] builds it.
macro_rules! names_of_ops {
    ($($op:pat => $name:literal,)*) => {
        fn name_of(op: &Op) -> &'static str {
            match op { $($op => $name,)* }
        }
        const EVERY_NAME: &[&str] = &[$($name),*];
    };
}

names_of_ops! {
    Op::Input(_) => "input",
    Op::Weight(_) => "weight",
    Op::Literal(_) => "literal",
    Op::Fill(_) => "fill",
    Op::Unary(UnaryOp::Exp, _) => "exp",
    Op::Unary(UnaryOp::Sin, _) => "sin",
    Op::Unary(UnaryOp::Cos, _) => "cos",
    Op::Unary(UnaryOp::Sigmoid, _) => "sigmoid",
    Op::Unary(UnaryOp::Silu, _) => "silu",
    Op::Unary(UnaryOp::Gelu, _) => "gelu",
    Op::Unary(UnaryOp::QuickGelu, _) => "quick_gelu",
    Op::Binary(BinaryOp::Add, ..) => "add",
    Op::Binary(BinaryOp::Sub, ..) => "sub",
    Op::Binary(BinaryOp::Mul, ..) => "mul",
    Op::Binary(BinaryOp::Div, ..) => "div",
    Op::Binary(BinaryOp::Min, ..) => "min",
    Op::Binary(BinaryOp::Max, ..) => "max",
    Op::Convert(..) => "convert",
    Op::Conv2d { .. } => "conv2d",
    Op::Linear { .. } => "linear",
    Op::GroupNorm { .. } => "group_norm",
    Op::LayerNorm(_) => "layer_norm",
    Op::Attention(_) => "attention",
    Op::Upsample { .. } => "upsample",
    Op::Concat { .. } => "concat",
    Op::Slice { .. } => "slice",
    Op::Reshape(_) => "reshape",
    Op::Permute(..) => "permute",
    Op::Broadcast(_) => "broadcast",
    Op::Embedding { .. } => "embedding",
    Op::SelectRow { .. } => "select_row",
}

#[test]
fn every_op_is_in_every_op() {
    let function = every_op();
    let built: BTreeSet<&str> = function.nodes().iter().map(|node| name_of(&node.op)).collect();
    assert_eq!(built, EVERY_NAME.iter().copied().collect());
    for node in function.nodes() {
        assert_eq!(name_of(&node.op), node.op.name());
    }
}

/// A function with every op, for tests of autocast. An output's name says which op or case it is.
fn every_op() -> Verified {
    let mut b = FunctionBuilder::new("every op");
    build_every_op(&mut b).unwrap();
    b.finish().unwrap()
}

fn build_every_op(b: &mut FunctionBuilder) -> Result<(), GraphError> {
    let latents = b.input("latents", f32s([1, 4, 4, 4]));
    let kernel = b.weight("conv.weight", [4, 4, 3, 3]);
    let bias = b.weight("conv.bias", [4]);
    let conv = b.conv2d(latents, kernel, Some(bias), 1, 1)?;
    let (scale, shift) = (b.weight("norm.weight", [4]), b.weight("norm.bias", [4]));
    let group_norm = b.group_norm(Norm { x: conv, weight: scale, bias: shift, eps: 1e-5 }, 2)?;
    let permute = b.permute(group_norm, [0, 2, 3, 1])?;
    let reshape = b.reshape(permute, [1, 16, 4])?;
    let layer_norm = b.layer_norm(Norm { x: reshape, weight: scale, bias: shift, eps: 1e-5 })?;
    let matrix = b.weight("linear.weight", [4, 4]);
    let linear = b.linear(layer_norm, matrix, None)?;
    let heads = Attention {
        query: linear,
        key: linear,
        value: layer_norm,
        heads: 2,
        scale: 1.0,
        causal: false,
        upcast: true,
    };
    let attention = b.attention(heads)?;
    for op in [UnaryOp::Sigmoid, UnaryOp::Silu, UnaryOp::Gelu, UnaryOp::QuickGelu] {
        let y = b.unary(op, attention)?;
        b.output(Op::Unary(op, y).name(), y);
    }
    for op in [UnaryOp::Exp, UnaryOp::Sin, UnaryOp::Cos] {
        let y = b.unary(op, attention)?;
        b.output(Op::Unary(op, y).name(), y);
    }
    for op in
        [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::Min, BinaryOp::Max]
    {
        let y = b.binary(op, attention, linear)?;
        b.output(Op::Binary(op, y, y).name(), y);
    }
    let upsample = b.upsample(group_norm, [8, 8])?;
    let concat = b.concat([group_norm, latents], 1)?;
    let slice = b.slice(concat, 1, 0, 4)?;
    let one = b.slice(attention, 1, 0, 1)?;
    let broadcast = b.broadcast(one, [1, 5, 4])?;
    let ids = b.input("ids", TensorType::new(Dtype::Int32, [1]));
    let embedding = b.embedding(matrix, ids)?;
    let select_row = b.select_row(attention, ids)?;
    let with_latents = b.add(conv, latents)?;
    let with_scalar = b.scale(conv, 0.5)?;
    let literal = b.literal([1, 1, 4], [1.0, 2.0, 3.0, 4.0])?;
    let with_literal = b.mul(linear, literal)?;
    let (guidance, position) = (b.input("guidance", f32s([])), b.weight("position", [1, 4]));
    let with_guidance = b.mul(conv, guidance)?;
    let with_weight = b.add(select_row, position)?;
    let convert = b.pin(conv, Dtype::Float32);
    let island = b.mul(convert, guidance)?;
    let both_ways = b.linear(layer_norm, matrix, Some(shift))?;
    let named = [
        ("conv2d", conv),
        ("group_norm", group_norm),
        ("permute", permute),
        ("reshape", reshape),
        ("layer_norm", layer_norm),
        ("linear", linear),
        ("attention", attention),
        ("upsample", upsample),
        ("concat", concat),
        ("slice", slice),
        ("broadcast", broadcast),
        ("embedding", embedding),
        ("select_row", select_row),
        ("with latents", with_latents),
        ("with a scalar", with_scalar),
        ("with a literal", with_literal),
        ("with guidance", with_guidance),
        ("with a weight", with_weight),
        ("convert", convert),
        ("island", island),
        ("bias read both ways", both_ways),
    ];
    for (name, value) in named {
        b.output(name, value);
    }
    Ok(())
}

/// For each output's name, the dtype that its value had before autocast converted it back to f32.
fn dtypes(function: &Verified) -> BTreeMap<&str, Dtype> {
    let made = |value: Value| match function.nodes()[value.index()].op {
        Op::Convert(x, Dtype::Float32) if function.type_of(x).dtype != Dtype::Float32 => x,
        _ => value,
    };
    function
        .outputs()
        .iter()
        .map(|output| (output.name.as_str(), function.type_of(made(output.value)).dtype))
        .collect()
}

#[test]
fn autocast_gives_each_op_the_dtype_of_the_table() {
    let function = every_op();
    for low in [Dtype::BFloat16, Dtype::Float16] {
        let cast = autocast(&function, low).unwrap();
        for (name, dtype) in dtypes(&cast) {
            let wide =
                ["exp", "sin", "cos", "with latents", "with a literal", "island"].contains(&name);
            // For `convert`, `dtypes` returns the dtype of the operand.
            assert_eq!(dtype, if wide { Dtype::Float32 } else { low }, "{name}");
        }
        let island = cast.outputs().iter().find(|output| output.name == "island").unwrap();
        assert!(cast.nodes()[island.value.index()].kind.dtype == Dtype::Float32);
        for output in cast.outputs() {
            assert_eq!(cast.type_of(output.value).dtype, Dtype::Float32, "{}", output.name);
        }
        for decl in cast.weights() {
            let wide = decl.name.starts_with("norm.");
            assert_eq!(decl.kind.dtype, if wide { Dtype::Float32 } else { low }, "{}", decl.name);
        }
        assert_eq!(cast.inputs(), function.inputs());
    }
}

#[test]
fn autocast_casts_each_value_once_to_each_dtype() {
    let cast = autocast(&every_op(), Dtype::BFloat16).unwrap();
    let mut seen = std::collections::HashSet::new();
    for node in cast.nodes() {
        if let Op::Convert(x, dtype) = node.op {
            assert!(seen.insert((x, dtype)), "value {} twice", x.index());
        }
    }
}

#[test]
fn autocast_twice_is_autocast_once() {
    let once = autocast(&every_op(), Dtype::BFloat16).unwrap();
    assert_eq!(autocast(&once, Dtype::BFloat16).unwrap(), once);
    assert_eq!(autocast(&every_op(), Dtype::Float32).unwrap(), every_op());
    assert!(autocast(&every_op(), Dtype::Int8).unwrap_err().to_string().contains("not in int8"));
}

#[test]
fn a_builder_finishes_a_graph_in_the_dtype_that_is_asked_for() {
    let finished = |dtype| {
        let mut b = FunctionBuilder::new("every op");
        build_every_op(&mut b).unwrap();
        b.autocast(dtype)
    };
    for dtype in [Dtype::BFloat16, Dtype::Float16, Dtype::Float32] {
        assert_eq!(finished(dtype).unwrap(), autocast(&every_op(), dtype).unwrap());
    }
    assert!(finished(Dtype::Int8).is_err());
    // A function that breaks a rule is refused before it is rewritten.
    assert!(
        FunctionBuilder::new("empty")
            .autocast(Dtype::BFloat16)
            .unwrap_err()
            .to_string()
            .contains("no output")
    );
}

#[test]
fn autocast_keeps_donations() {
    let cast = autocast(&Verified(right()), Dtype::BFloat16).unwrap();
    let donated = cast.outputs()[0].donated.unwrap();
    assert_eq!(cast.nodes()[donated.index()].op, Op::Input(0));
}

/// docs/precision.md has a row for each op, with the rule of the code.
#[test]
fn the_table_of_the_documentation_is_the_table_of_the_code() {
    let page = include_str!("../../../../docs/precision.md");
    let mut rows = BTreeMap::new();
    for row in page
        .lines()
        .skip_while(|line| !line.starts_with("| op |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for op in cells[1].split(", ") {
            assert!(rows.insert(op, cells[2]).is_none(), "{op} twice");
        }
    }
    let function = every_op();
    let mut ops: Vec<&Op> = function.nodes().iter().map(|node| &node.op).collect();
    ops.sort_by_key(|op| op.name());
    ops.dedup_by_key(|op| op.name());
    for op in &ops {
        assert_eq!(rows.get(op.name()), Some(&super::autocast::rule_name(op)), "{}", op.name());
    }
    assert_eq!(rows.len(), ops.len(), "{rows:?}");
}
