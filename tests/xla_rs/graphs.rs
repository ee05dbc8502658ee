//! Which graphs do the tests of the `xla` crate run? They are built with `XlaBuilder`, each with
//! its inputs. The topics are those of the crate's own tests.

use xla::{
    ElementType, Literal, PrimitiveType, RandomAlgorithm, Result, Shape, XlaBuilder,
    XlaComputation, XlaOp,
};

/// One graph.
pub struct Case {
    pub name: &'static str,
    /// How far apart the results of two builds of XLA may be, relative to the larger result; 0 if
    /// they must be equal in every bit.
    pub rtol: f64,
    build: fn(&XlaBuilder) -> Result<XlaOp>,
    inputs: fn() -> Vec<Vec<Literal>>,
}

impl Case {
    pub fn computation(&self) -> XlaComputation {
        let builder = XlaBuilder::new(self.name);
        (self.build)(&builder)
            .and_then(|root| builder.build(&root))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// One list of arguments for each run.
    pub fn inputs(&self) -> Vec<Vec<Literal>> {
        (self.inputs)()
    }
}

/// Limit for f32 if a few operations round one after the other.
const F32: f64 = 1e-5;
/// Limit for f32 if sums of products are computed in another order.
const SUMS: f64 = 1e-4;
/// Limit for bf16, which has 8 bits of precision.
const BF16: f64 = 1.6e-2;
const EXACT: f64 = 0.0;

pub fn cases() -> Vec<Case> {
    let groups: [&[Row]; 9] = [
        ARITHMETIC,
        SHAPES,
        REDUCTIONS,
        PRODUCTS,
        CONVOLUTIONS,
        INDEXING,
        CONTROL_FLOW,
        LOW_PRECISION,
        OTHERS,
    ];
    groups
        .concat()
        .into_iter()
        .map(|(name, rtol, build, inputs)| Case { name, rtol, build, inputs })
        .collect()
}

type Row = (&'static str, f64, fn(&XlaBuilder) -> Result<XlaOp>, fn() -> Vec<Vec<Literal>>);

const ARITHMETIC: &[Row] = &[
    (
        "the four operations",
        F32,
        |b| {
            let (x, y) = (f32_input(b, 0, &[4, 5])?, f32_input(b, 1, &[4, 5])?);
            ((&x + &y)? * (&x - &y)?)? / (y.mul_(&y)? + b.c0(1f32)?)?
        },
        || vec![vec![wave(&[4, 5], 1.0), wave(&[4, 5], 2.0)]],
    ),
    (
        "functions of one number",
        F32,
        |b| {
            let x = f32_input(b, 0, &[16])?;
            let positive = (x.abs()? + b.c0(0.1f32)?)?;
            let plain = [
                x.exp()?,
                x.expm1()?,
                x.tanh()?,
                x.sin()?,
                x.cos()?,
                x.logistic()?,
                x.erf()?,
                x.cbrt()?,
            ];
            let of_positive =
                [positive.log()?, positive.log1p()?, positive.sqrt()?, positive.rsqrt()?];
            b.tuple(&plain.into_iter().chain(of_positive).collect::<Vec<_>>())
        },
        || vec![vec![wave(&[16], 3.0)]],
    ),
    (
        "power, remainder and angle",
        F32,
        |b| {
            let (x, y) = (f32_input(b, 0, &[12])?, f32_input(b, 1, &[12])?);
            let base = (x.abs()? + b.c0(0.5f32)?)?;
            b.tuple(&[base.pow(&y)?, x.rem_(&base)?, y.atan2(&x)?])
        },
        || vec![vec![wave(&[12], 2.0), wave(&[12], 1.5)]],
    ),
    (
        "rounding and signs",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[9])?;
            let finite = (&x / b.c0(0f32)?)?.is_finite()?;
            b.tuple(&[x.floor()?, x.ceil()?, x.round()?, x.sign()?, x.abs()?, x.neg()?, finite])
        },
        || vec![vec![Literal::vec1(&[-2.5f32, -1.5, -0.5, -0.4, 0.0, 0.5, 1.5, 2.5, 1e9])]],
    ),
    (
        "whole numbers",
        EXACT,
        |b| {
            let (x, y) = (
                b.parameter(0, ElementType::S32, &[6], "x")?,
                b.parameter(1, ElementType::S32, &[6], "y")?,
            );
            b.tuple(&[
                x.div_(&y)?,
                x.rem_(&y)?,
                x.and(&y)?,
                x.or(&y)?,
                x.xor(&y)?,
                x.not()?,
                x.clz()?,
                x.mul_(&y)?,
            ])
        },
        || {
            let x = Literal::vec1(&[7i32, -7, 123_456_789, 0, i32::MIN, i32::MAX]);
            vec![vec![x, Literal::vec1(&[3i32, 3, 1000, -5, 7, 2])]]
        },
    ),
    (
        "comparisons, choice and bounds",
        EXACT,
        |b| {
            let (x, y) = (f32_input(b, 0, &[8])?, f32_input(b, 1, &[8])?);
            let (low, high) = (b.c0(-0.5f32)?, b.c0(0.5f32)?);
            let larger = x.gt(&y)?.select(&x, &y)?;
            b.tuple(&[
                x.eq(&y)?,
                x.ne(&y)?,
                x.ge(&y)?,
                x.le(&y)?,
                larger,
                x.clamp(&low, &high)?,
                x.max(&y)?,
                x.min(&y)?,
            ])
        },
        || vec![vec![wave(&[8], 1.0), wave(&[8], -1.0)]],
    ),
    (
        "double precision",
        1e-13,
        |b| {
            let x = b.parameter(0, ElementType::F64, &[10], "x")?;
            (x.exp()? + x.mul_(&x)?.sqrt()?)? / b.c0(3f64)?
        },
        || vec![vec![convert(&wave(&[10], 2.0), PrimitiveType::F64)]],
    ),
    (
        "complex numbers",
        F32,
        |b| {
            let x = b.parameter(0, ElementType::C64, &[6], "x")?;
            let square = x.mul_(&x)?;
            b.tuple(&[square.real()?, square.imag()?, square])
        },
        || vec![vec![complex(&wave(&[12], 1.0))]],
    ),
    (
        "conversions",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[7])?;
            let types = [
                PrimitiveType::S8,
                PrimitiveType::S64,
                PrimitiveType::U8,
                PrimitiveType::F16,
                PrimitiveType::F64,
            ];
            b.tuple(
                &types
                    .into_iter()
                    .map(|kind| x.abs()?.convert(kind))
                    .collect::<Result<Vec<_>>>()?,
            )
        },
        || vec![vec![Literal::vec1(&[-3.7f32, -1.0, -0.2, 0.0, 0.9, 41.5, 100.25])]],
    ),
    (
        "gelu and silu",
        F32,
        |b| {
            let x = f32_input(b, 0, &[3, 7])?;
            x.gelu_erf()? + x.silu()?
        },
        || vec![vec![wave(&[3, 7], 3.0)]],
    ),
];

const SHAPES: &[Row] = &[
    (
        "reshape, transpose and broadcast",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[2, 6])?.reshape(&[3, 4])?.transpose(&[1, 0])?;
            x.broadcast_in_dim(&[4, 2, 3], &[0, 2])?.collapse(&[1, 2])
        },
        || vec![vec![wave(&[2, 6], 1.0)]],
    ),
    (
        "slices, joined and reversed",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[4, 6])?;
            let (even, last) = (x.slice_in_dim(0, 6, 2, 1)?, x.slice_in_dim1(3, 6, -1)?);
            even.concat_in_dim(&[last.rev(&[0, 1])?, even.swap_dims(0, 1)?.reshape(&[4, 3])?], 0)
        },
        || vec![vec![wave(&[4, 6], 1.0)]],
    ),
    (
        "padding inside and outside",
        EXACT,
        |b| f32_input(b, 0, &[2, 3])?.pad(&b.c0(-1f32)?, &[(1, 0, 1), (0, 2, 2)]),
        || vec![vec![wave(&[2, 3], 1.0)]],
    ),
    (
        "counting and constants",
        EXACT,
        |b| {
            let counted = b.iota(ElementType::S32, &[3, 4], 1)?.convert(PrimitiveType::F32)?;
            let constant = b.constant_literal(&wave(&[3, 4], 1.0))?;
            let scalars = [
                b.zero(ElementType::F32)?,
                b.one(ElementType::F32)?,
                b.max_value(ElementType::S8)?,
            ];
            b.tuple(
                &scalars
                    .into_iter()
                    .chain([(counted + constant)?, b.c1(&[1i64, -2])?])
                    .collect::<Vec<_>>(),
            )
        },
        || vec![vec![]],
    ),
    (
        "no elements",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[0, 4])?;
            b.tuple(&[x.reduce_sum(&[0], false)?, x.neg()?])
        },
        || vec![vec![Literal::create_from_shape(PrimitiveType::F32, &[0, 4])]],
    ),
    (
        "triangles",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[4, 4])?;
            b.tuple(&[x.lower_triangle()?, x.upper_triangle()?])
        },
        || vec![vec![wave(&[4, 4], 1.0)]],
    ),
];

const REDUCTIONS: &[Row] = &[
    (
        "sum, mean, largest and smallest",
        F32,
        |b| {
            let x = f32_input(b, 0, &[3, 5, 4])?;
            b.tuple(&[
                x.reduce_sum(&[1], false)?,
                x.reduce_mean(&[0, 2], true)?,
                x.reduce_max(&[-1], false)?,
                x.reduce_min(&[0, 1, 2], false)?,
            ])
        },
        || vec![vec![wave(&[3, 5, 4], 1.0)]],
    ),
    (
        "a reduction of its own",
        F32,
        |b| {
            let product = scalar_function(XlaOp::mul_)?;
            f32_input(b, 0, &[4, 6])?.reduce(b.c0(1f32)?, product, &[1], true)
        },
        || vec![vec![wave(&[4, 6], 1.3)]],
    ),
    ("softmax", F32, |b| f32_input(b, 0, &[4, 9])?.softmax(-1), || vec![vec![wave(&[4, 9], 4.0)]]),
    (
        "layer norm",
        SUMS,
        |b| {
            f32_input(b, 0, &[4, 32])?.layer_norm(
                -1,
                &f32_input(b, 1, &[32])?.broadcast(&[4])?,
                &b.c0(0.1f32)?,
            )
        },
        || vec![vec![wave(&[4, 32], 1.0), wave(&[32], 1.0)]],
    ),
    (
        "where the largest and the smallest are",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[3, 8])?;
            b.tuple(&[x.argmax(ElementType::S32, -1)?, x.argmin(ElementType::S64, 0)?])
        },
        || vec![vec![wave(&[3, 8], 1.0)]],
    ),
];

const PRODUCTS: &[Row] = &[
    (
        "matrix product",
        SUMS,
        |b| f32_input(b, 0, &[17, 33])?.dot(&f32_input(b, 1, &[33, 9])?),
        || vec![vec![wave(&[17, 33], 1.0), wave(&[33, 9], 1.0)]],
    ),
    (
        "dot_general with two batch dimensions",
        SUMS,
        |b| {
            let (x, y) = (f32_input(b, 0, &[2, 3, 4, 8])?, f32_input(b, 1, &[2, 3, 5, 8])?);
            x.dot_general(&y, &[3], &[3], &[0, 1], &[0, 1])
        },
        || vec![vec![wave(&[2, 3, 4, 8], 1.0), wave(&[2, 3, 5, 8], 1.0)]],
    ),
    (
        "matmul with broadcast batches",
        SUMS,
        |b| f32_input(b, 0, &[2, 3, 4])?.matmul(&f32_input(b, 1, &[4, 5])?),
        || vec![vec![wave(&[2, 3, 4], 1.0), wave(&[4, 5], 1.0)]],
    ),
    (
        "einsum",
        SUMS,
        |b| f32_input(b, 0, &[2, 4, 6])?.einsum2(&f32_input(b, 1, &[2, 6, 3])?, "bij,bjk->bik"),
        || vec![vec![wave(&[2, 4, 6], 1.0), wave(&[2, 6, 3], 1.0)]],
    ),
    (
        "attention",
        SUMS,
        |b| {
            let [query, key, value] = [0, 1, 2].map(|number| f32_input(b, number, &[2, 4, 16, 8]));
            let scores = (query?.dot_general(&key?, &[3], &[3], &[0, 1], &[0, 1])?
                * b.c0(8f32.powf(-0.5))?)?;
            scores.softmax(-1)?.dot_general(&value?, &[3], &[2], &[0, 1], &[0, 1])
        },
        || vec![[1.0, 2.0, 3.0].map(|scale| wave(&[2, 4, 16, 8], scale)).into()],
    ),
];

const CONVOLUTIONS: &[Row] = &[
    (
        "convolution of a line",
        SUMS,
        |b| f32_input(b, 0, &[2, 4, 20])?.conv1d(&f32_input(b, 1, &[6, 2, 3])?, 2, 1, 2, 2),
        || vec![vec![wave(&[2, 4, 20], 1.0), wave(&[6, 2, 3], 1.0)]],
    ),
    (
        "transposed convolution",
        SUMS,
        |b| {
            f32_input(b, 0, &[1, 4, 9])?.conv_transpose1d(
                &f32_input(b, 1, &[4, 3, 4])?,
                2,
                1,
                0,
                1,
                1,
            )
        },
        || vec![vec![wave(&[1, 4, 9], 1.0), wave(&[4, 3, 4], 1.0)]],
    ),
    (
        "convolution of a picture",
        SUMS,
        |b| convolution(&f32_input(b, 0, &[2, 3, 16, 12])?, &f32_input(b, 1, &[8, 3, 3, 3])?, 1, 1),
        || vec![vec![wave(&[2, 3, 16, 12], 1.0), wave(&[8, 3, 3, 3], 1.0)]],
    ),
    (
        "depthwise convolution with a stride",
        SUMS,
        |b| convolution(&f32_input(b, 0, &[1, 8, 16, 16])?, &f32_input(b, 1, &[8, 1, 3, 3])?, 2, 8),
        || vec![vec![wave(&[1, 8, 16, 16], 1.0), wave(&[8, 1, 3, 3], 1.0)]],
    ),
];

const INDEXING: &[Row] = &[
    (
        "rows of a table",
        EXACT,
        |b| f32_input(b, 0, &[7, 5])?.take(&b.parameter(1, ElementType::S32, &[2, 3], "rows")?, 0),
        || vec![vec![wave(&[7, 5], 1.0), reshape(&Literal::vec1(&[0i32, 6, 3, 3, 1, 5]), &[2, 3])]],
    ),
    (
        "gather of windows",
        EXACT,
        |b| {
            let starts = b.parameter(1, ElementType::S64, &[4, 2], "starts")?;
            f32_input(b, 0, &[6, 8])?.gather(&starts, &[1, 2], &[], &[0, 1], Some(1), &[2, 3])
        },
        || {
            let starts = reshape(&Literal::vec1(&[0i64, 0, 4, 5, 9, 9, 2, 1]), &[4, 2]);
            vec![vec![wave(&[6, 8], 1.0), starts]]
        },
    ),
    (
        "scatter that adds",
        F32,
        |b| {
            let sum = scalar_function(XlaOp::add_)?;
            let rows = b.parameter(1, ElementType::S64, &[3], "rows")?;
            f32_input(b, 0, &[5, 4])?.scatter(
                &rows,
                &f32_input(b, 2, &[3, 4])?,
                &sum,
                &[1],
                &[0],
                &[0],
                1,
            )
        },
        || vec![vec![wave(&[5, 4], 1.0), Literal::vec1(&[4i64, 0, 4]), wave(&[3, 4], 1.0)]],
    ),
    (
        "dynamic slices",
        EXACT,
        |b| {
            let (x, start) =
                (f32_input(b, 0, &[6, 4])?, b.parameter(1, ElementType::S32, &[], "start")?);
            let zero = b.c0(0i32)?;
            let window = x.dynamic_slice(&[&start, &zero], &[2, 4])?;
            x.dynamic_update_slice(&window.neg()?, &[&zero, &zero])
        },
        || [0, 3, 99].map(|start| vec![wave(&[6, 4], 1.0), Literal::scalar(start)]).into(),
    ),
    (
        "sorted",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[4, 9])?;
            b.tuple(&[x.sort_asc(-1, true)?, x.sort_desc(0, false)?])
        },
        || vec![vec![wave(&[4, 9], 1.0)]],
    ),
    (
        "the largest three",
        EXACT,
        |b| f32_input(b, 0, &[2, 11])?.top_k(3, true),
        || vec![vec![wave(&[2, 11], 1.0)]],
    ),
];

const CONTROL_FLOW: &[Row] = &[
    (
        "a loop over a number",
        EXACT,
        |b| {
            let below = function(&Shape::array::<i32>(vec![]), |b, x| x.lt(&b.c0(100i32)?))?;
            let double = function(&Shape::array::<i32>(vec![]), |_, x| x.add_(x))?;
            XlaOp::while_(below, double, b.parameter(0, ElementType::S32, &[], "start")?)
        },
        || vec![vec![Literal::scalar(3i32)], vec![Literal::scalar(1000i32)]],
    ),
    (
        "a loop over a tuple",
        F32,
        |b| {
            let state =
                Shape::tuple(vec![Shape::array::<i32>(vec![]), Shape::array::<f32>(vec![3])]);
            let below = function(&state, |b, x| x.get_tuple_element(0)?.lt(&b.c0(10i32)?))?;
            let next = function(&state, |b, x| {
                let count = x.get_tuple_element(0)?.add_(&b.c0(1i32)?)?;
                b.tuple(&[count, x.get_tuple_element(1)?.mul_(&b.c0(1.1f32)?)?])
            })?;
            XlaOp::while_(below, next, b.tuple(&[b.c0(0i32)?, f32_input(b, 0, &[3])?])?)
        },
        || vec![vec![wave(&[3], 1.0)]],
    ),
    (
        "one of two branches",
        F32,
        |b| {
            let shape = Shape::array::<f32>(vec![5]);
            let (then, otherwise) =
                (function(&shape, |_, x| x.exp())?, function(&shape, |_, x| x.neg())?);
            let x = f32_input(b, 0, &[5])?;
            let positive = x.reduce_sum(&[0], false)?.gt(&b.c0(0f32)?)?;
            positive.conditional(x.clone(), then, x, otherwise)
        },
        || {
            vec![
                vec![Literal::vec1(&[1f32, 2.0, 3.0, 4.0, 5.0])],
                vec![Literal::vec1(&[-1f32, -2.0, 0.0, 1.0, 0.5])],
            ]
        },
    ),
    (
        "a branch in a loop",
        EXACT,
        |b| {
            // The Collatz sequence: how many steps it takes from the start to 1.
            let scalar = || Shape::array::<i64>(vec![]);
            let state = Shape::tuple(vec![scalar(), scalar()]);
            let unfinished = function(&state, |b, x| x.get_tuple_element(0)?.gt(&b.c0(1i64)?))?;
            let next = function(&state, |b, x| {
                let (half, more) = (
                    function(&Shape::array::<i64>(vec![]), |b, n| n.div_(&b.c0(2i64)?))?,
                    function(&Shape::array::<i64>(vec![]), |b, n| {
                        n.mul_(&b.c0(3i64)?)?.add_(&b.c0(1i64)?)
                    })?,
                );
                let number = x.get_tuple_element(0)?;
                let even = number.rem_(&b.c0(2i64)?)?.eq(&b.c0(0i64)?)?;
                let number = even.conditional(number.clone(), half, number, more)?;
                b.tuple(&[number, x.get_tuple_element(1)?.add_(&b.c0(1i64)?)?])
            })?;
            XlaOp::while_(
                unfinished,
                next,
                b.tuple(&[b.parameter(0, ElementType::S64, &[], "n")?, b.c0(0i64)?])?,
            )
        },
        || vec![vec![Literal::scalar(27i64)], vec![Literal::scalar(1i64)]],
    ),
];

const LOW_PRECISION: &[Row] = &[
    (
        "arithmetic in bf16",
        BF16,
        |b| {
            let (x, y) = (bf16_input(b, 0, &[6, 5])?, bf16_input(b, 1, &[6, 5])?);
            (&x * &y)? + (&x / (y.abs()? + b.c0(1f32)?.convert(PrimitiveType::Bf16)?)?)?
        },
        || vec![vec![bf16(&wave(&[6, 5], 1.0)), bf16(&wave(&[6, 5], 2.0))]],
    ),
    (
        "matrix product in bf16",
        BF16,
        |b| bf16_input(b, 0, &[8, 32])?.dot(&bf16_input(b, 1, &[32, 8])?),
        || vec![vec![bf16(&wave(&[8, 32], 1.0)), bf16(&wave(&[32, 8], 1.0))]],
    ),
    (
        "bf16 summed up in f32",
        SUMS,
        |b| {
            let (x, y) = (bf16_input(b, 0, &[8, 32])?, bf16_input(b, 1, &[32, 8])?);
            x.dot_general_with_type(&y, &[1], &[0], &[], &[], PrimitiveType::F32)
        },
        || vec![vec![bf16(&wave(&[8, 32], 1.0)), bf16(&wave(&[32, 8], 1.0))]],
    ),
    (
        "softmax of bf16 in f32",
        BF16,
        |b| {
            bf16_input(b, 0, &[4, 16])?
                .convert(PrimitiveType::F32)?
                .softmax(-1)?
                .convert(PrimitiveType::Bf16)
        },
        || vec![vec![bf16(&wave(&[4, 16], 4.0))]],
    ),
    (
        "half precision",
        2e-3,
        |b| {
            let x = b.parameter(0, ElementType::F16, &[9], "x")?;
            x.mul_(&x)?.tanh()
        },
        || vec![vec![convert(&wave(&[9], 1.0), PrimitiveType::F16)]],
    ),
    (
        "through eight bits",
        EXACT,
        |b| {
            let x = f32_input(b, 0, &[2, 4])?;
            let through = |kind| x.convert(kind)?.convert(PrimitiveType::F32);
            b.tuple(&[
                through(PrimitiveType::F8E4M3FN)?,
                through(PrimitiveType::F8E5M2)?,
                x.convert(PrimitiveType::F8E5M2)?,
            ])
        },
        || vec![vec![wave(&[2, 4], 6.0)]],
    ),
];

const OTHERS: &[Row] = &[
    (
        "a tuple of several dtypes",
        EXACT,
        |b| {
            let x = b.parameter(0, ElementType::U32, &[3], "x")?;
            b.tuple(&[
                x.gt(&b.c0(1u32)?)?,
                x.convert(PrimitiveType::U8)?,
                x.clone(),
                x.convert(PrimitiveType::S16)?,
            ])
        },
        || vec![vec![Literal::vec1(&[0u32, 1, 77])]],
    ),
    (
        "a tuple of one",
        EXACT,
        |b| b.tuple(&[f32_input(b, 0, &[2])?.neg()?]),
        || vec![vec![wave(&[2], 1.0)]],
    ),
    (
        "random bits",
        EXACT,
        |b| {
            b.parameter(0, ElementType::U64, &[2], "state")?.rng_bit_generator(
                RandomAlgorithm::ThreeFry,
                ElementType::U32,
                &[3, 5],
            )
        },
        || vec![vec![Literal::vec1(&[42u64, 7])]],
    ),
    (
        "normal noise",
        F32,
        |b| {
            let state = b.parameter(0, ElementType::U64, &[3], "state")?;
            let (state, noise) =
                state.sample_normal(RandomAlgorithm::Philox, ElementType::F32, &[4, 8])?;
            b.tuple(&[state, noise])
        },
        || vec![vec![Literal::vec1(&[42u64, 7, 9])]],
    ),
    (
        "donation",
        F32,
        |b| {
            let (x, y) = (f32_input(b, 0, &[32])?, f32_input(b, 1, &[32])?);
            let root = b.tuple(&[(&x + &y)?])?;
            b.setup_alias(0, 0);
            Ok(root)
        },
        || vec![vec![wave(&[32], 1.0), wave(&[32], 2.0)]],
    ),
    (
        "donation crosswise",
        F32,
        |b| {
            let (x, y) = (f32_input(b, 0, &[8])?, f32_input(b, 1, &[8])?);
            let root = b.tuple(&[(&x * &y)?, (&x - &y)?, x.reduce_sum(&[0], false)?])?;
            b.setup_alias(0, 1);
            b.setup_alias(1, 0);
            Ok(root)
        },
        || vec![vec![wave(&[8], 1.0), wave(&[8], 2.0)]],
    ),
    (
        "a step of Euler's method",
        SUMS,
        |b| {
            let (latents, kernel) =
                (f32_input(b, 0, &[1, 4, 8, 8])?, f32_input(b, 1, &[4, 4, 3, 3])?);
            let (sigma, next) = (f32_input(b, 2, &[])?, f32_input(b, 3, &[])?);
            let scale = (sigma.mul_(&sigma)? + b.c0(1f32)?)?.rsqrt()?;
            let noise = convolution(&latents.mul_(&scale)?, &kernel, 1, 1)?;
            latents + noise.mul_(&(next - sigma)?)?
        },
        || {
            let constants = || (wave(&[1, 4, 8, 8], 1.0), wave(&[4, 4, 3, 3], 0.3));
            let step = |now: f32, next: f32| {
                let (latents, kernel) = constants();
                vec![latents, kernel, Literal::scalar(now), Literal::scalar(next)]
            };
            vec![step(14.6, 7.5), step(7.5, 0.0)]
        },
    ),
];

fn f32_input(builder: &XlaBuilder, number: i64, dimensions: &[i64]) -> Result<XlaOp> {
    builder.parameter(number, ElementType::F32, dimensions, &format!("input {number}"))
}

fn bf16_input(builder: &XlaBuilder, number: i64, dimensions: &[i64]) -> Result<XlaOp> {
    builder.parameter(number, ElementType::Bf16, dimensions, &format!("input {number}"))
}

/// A computation of one parameter.
fn function(
    shape: &Shape,
    body: impl Fn(&XlaBuilder, &XlaOp) -> Result<XlaOp>,
) -> Result<XlaComputation> {
    let builder = XlaBuilder::new("function");
    let parameter = builder.parameter_s(0, shape, "x")?;
    builder.build(&body(&builder, &parameter)?)
}

/// A computation of two f32 scalars.
fn scalar_function(body: impl Fn(&XlaOp, &XlaOp) -> Result<XlaOp>) -> Result<XlaComputation> {
    let builder = XlaBuilder::new("function of two");
    let (x, y) = (f32_input(&builder, 0, &[])?, f32_input(&builder, 1, &[])?);
    builder.build(&body(&x, &y)?)
}

/// A convolution with the layouts NCHW and OIHW, padded by one on every side.
fn convolution(input: &XlaOp, kernel: &XlaOp, stride: i64, groups: i64) -> Result<XlaOp> {
    let (strides, padding, ones) = ([stride; 2], [(1, 1); 2], [1; 2]);
    let spatial = [2, 3];
    input.conv_general_dilated(
        kernel, &strides, &padding, &ones, &ones, 0, 1, &spatial, 0, 1, &spatial, 1, 0, &spatial,
        groups, 1, false,
    )
}

/// Values of both signs up to `scale`; no value occurs twice.
fn wave(dimensions: &[i64], scale: f32) -> Literal {
    let count = usize::try_from(dimensions.iter().product::<i64>()).unwrap();
    let mut phase = scale;
    let mut next = || {
        phase += 0.754_878;
        scale * phase.sin()
    };
    reshape(&Literal::vec1(&(0..count).map(|_| next()).collect::<Vec<f32>>()), dimensions)
}

fn reshape(literal: &Literal, dimensions: &[i64]) -> Literal {
    literal.reshape(dimensions).unwrap()
}

fn convert(literal: &Literal, kind: PrimitiveType) -> Literal {
    literal.convert(kind).unwrap()
}

fn bf16(literal: &Literal) -> Literal {
    convert(literal, PrimitiveType::Bf16)
}

/// Makes each pair of numbers one complex number.
fn complex(parts: &Literal) -> Literal {
    let parts = parts.to_vec::<f32>().unwrap();
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_le_bytes()).collect();
    Literal::create_from_shape_and_untyped_data(ElementType::C64, &[parts.len() / 2], &bytes)
        .unwrap()
}
