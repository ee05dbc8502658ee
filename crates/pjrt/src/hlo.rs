//! What are a program's parameters and results, and how many instructions does it have? Both are
//! read from a serialised HLO module.
//!
//! The protocol buffer messages below have only the few fields of XLA's `hlo.proto` and
//! `xla_data.proto` that are needed here; all other fields are skipped.

use std::fmt;

use preheat_tensor::TensorType;
use prost::Message;

use super::buffer_type::dtype_from_hlo;
use super::error::PjrtError;

/// A program as the compiler optimised it.
#[derive(Clone, PartialEq, Eq)]
pub struct OptimizedProgram {
    /// `hlo`, `hlo_with_config` or `mlir`.
    pub format: String,
    /// The serialised program.
    pub code: Vec<u8>,
}

impl fmt::Debug for OptimizedProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptimizedProgram")
            .field("format", &self.format)
            .field("bytes", &self.code.len())
            .finish()
    }
}

/// A program's parameters and results, in order; tuples are replaced by their elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramShape {
    /// The arguments of an execution.
    pub parameters: Vec<TensorType>,
    /// The results of an execution.
    pub results: Vec<TensorType>,
}

/// How many instructions and fusions a program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramCounts {
    /// Instructions of all its computations, including the bodies of fusions.
    pub instructions: u64,
    /// How many of them are fusions.
    pub fusions: u64,
}

/// `HloModuleProto`, with only the fields that counting needs.
#[derive(Clone, PartialEq, Message)]
struct CountedModule {
    #[prost(message, repeated, tag = "3")]
    computations: Vec<CountedComputation>,
}

#[derive(Clone, PartialEq, Message)]
struct CountedModuleWithConfig {
    #[prost(message, optional, tag = "1")]
    hlo_module: Option<CountedModule>,
}

#[derive(Clone, PartialEq, Message)]
struct CountedComputation {
    #[prost(message, repeated, tag = "2")]
    instructions: Vec<CountedInstruction>,
}

#[derive(Clone, PartialEq, Message)]
struct CountedInstruction {
    #[prost(string, tag = "2")]
    opcode: String,
}

#[derive(Clone, PartialEq, Message)]
struct HloModuleProtoWithConfig {
    #[prost(message, optional, tag = "1")]
    hlo_module: Option<HloModuleProto>,
}

#[derive(Clone, PartialEq, Message)]
struct HloModuleProto {
    #[prost(message, optional, tag = "4")]
    host_program_shape: Option<ProgramShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct ProgramShapeProto {
    #[prost(message, repeated, tag = "1")]
    parameters: Vec<ShapeProto>,
    #[prost(message, optional, tag = "2")]
    result: Option<ShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct ShapeProto {
    #[prost(int32, tag = "2")]
    element_type: i32,
    #[prost(int64, repeated, tag = "3")]
    dimensions: Vec<i64>,
    #[prost(message, repeated, tag = "4")]
    tuple_shapes: Vec<ShapeProto>,
}

/// `TUPLE` of HLO's `PrimitiveType`.
const TUPLE: i32 = 13;

/// Parameters and results of an optimized program.
pub fn program_shape(program: &OptimizedProgram) -> Result<ProgramShape, PjrtError> {
    let unreadable = |what: String| unreadable(program, what);
    let module = read(program, |with_config: HloModuleProtoWithConfig| with_config.hlo_module)?;
    let shape = module.and_then(|module| module.host_program_shape);
    let shape = shape.ok_or_else(|| unreadable("it has no program shape".into()))?;
    let flat = |shapes: &[ShapeProto]| {
        let mut types = Vec::with_capacity(shapes.len());
        shapes
            .iter()
            .try_for_each(|shape| flatten(shape, &mut types))
            .map(|()| types)
            .map_err(unreadable)
    };
    Ok(ProgramShape {
        parameters: flat(&shape.parameters)?,
        results: flat(shape.result.as_slice())?,
    })
}

/// Counts the instructions and fusions of an optimized program.
pub fn program_counts(program: &OptimizedProgram) -> Result<ProgramCounts, PjrtError> {
    let module = read(program, |with_config: CountedModuleWithConfig| with_config.hlo_module)?;
    let computations = module.map(|module| module.computations).unwrap_or_default();
    let instructions = computations.iter().flat_map(|computation| &computation.instructions);
    let fusions = instructions.clone().filter(|instruction| instruction.opcode == "fusion").count();
    Ok(ProgramCounts { instructions: instructions.count() as u64, fusions: fusions as u64 })
}

/// The module of a program in one of the formats `hlo` and `hlo_with_config`.
fn read<M, C>(
    program: &OptimizedProgram,
    module: impl FnOnce(C) -> Option<M>,
) -> Result<Option<M>, PjrtError>
where
    M: Message + Default,
    C: Message + Default,
{
    let decoded = match program.format.as_str() {
        "hlo" => M::decode(program.code.as_slice()).map(Some),
        "hlo_with_config" => C::decode(program.code.as_slice()).map(module),
        _ => return Err(unreadable(program, "only HLO modules can be".into())),
    };
    decoded.map_err(|error| unreadable(program, error.to_string()))
}

fn unreadable(program: &OptimizedProgram, what: String) -> PjrtError {
    PjrtError::UnreadableProgram { format: program.format.clone(), what }
}

/// The recursion is bounded: prost decodes at most 100 messages nested in each other.
fn flatten(shape: &ShapeProto, types: &mut Vec<TensorType>) -> Result<(), String> {
    if shape.element_type == TUPLE {
        return shape.tuple_shapes.iter().try_for_each(|member| flatten(member, types));
    }
    let dtype = dtype_from_hlo(shape.element_type)
        .ok_or_else(|| format!("it has an unknown element type, {}", shape.element_type))?;
    let dims: Result<Vec<u64>, _> =
        shape.dimensions.iter().map(|&size| u64::try_from(size)).collect();
    let dims = dims.map_err(|_| format!("it has dimensions {:?}", shape.dimensions))?;
    types.push(TensorType::new(dtype, dims));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(module: &HloModuleProto) -> OptimizedProgram {
        OptimizedProgram { format: "hlo".into(), code: module.encode_to_vec() }
    }

    #[test]
    fn tuples_are_taken_apart_in_order() {
        let array = |element_type, dimensions: &[i64]| ShapeProto {
            element_type,
            dimensions: dimensions.to_vec(),
            tuple_shapes: vec![],
        };
        let tuple =
            |tuple_shapes| ShapeProto { element_type: TUPLE, dimensions: vec![], tuple_shapes };
        let nested = tuple(vec![array(11, &[2, 3]), tuple(vec![array(16, &[]), array(1, &[0])])]);
        let shape = ProgramShapeProto {
            parameters: vec![array(18, &[4]), nested.clone()],
            result: Some(nested),
        };
        let read =
            program_shape(&program(&HloModuleProto { host_program_shape: Some(shape) })).unwrap();
        let text = |types: &[TensorType]| {
            types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(&read.parameters), "complex128[4] float32[2, 3] bfloat16[] bool[0]");
        assert_eq!(text(&read.results), "float32[2, 3] bfloat16[] bool[0]");
    }

    #[test]
    fn fusions_and_what_is_in_them_are_counted() {
        let computation = |opcodes: &[&str]| CountedComputation {
            instructions: opcodes
                .iter()
                .map(|opcode| CountedInstruction { opcode: (*opcode).to_owned() })
                .collect(),
        };
        let computations = vec![
            computation(&["parameter", "add"]),
            computation(&["parameter", "fusion", "fusion"]),
        ];
        let module = CountedModule { computations };
        let expected = ProgramCounts { instructions: 5, fusions: 2 };
        let plain = OptimizedProgram { format: "hlo".into(), code: module.encode_to_vec() };
        assert_eq!(program_counts(&plain).unwrap(), expected);
        let code = CountedModuleWithConfig { hlo_module: Some(module) }.encode_to_vec();
        assert_eq!(
            program_counts(&OptimizedProgram { format: "hlo_with_config".into(), code }).unwrap(),
            expected
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(program_shape(&program(&HloModuleProto { host_program_shape: None })).is_err());
        assert!(
            program_shape(&OptimizedProgram { format: "hlo".into(), code: vec![0xff] }).is_err()
        );
        assert!(program_shape(&OptimizedProgram { format: "mlir".into(), code: vec![] }).is_err());
    }
}
