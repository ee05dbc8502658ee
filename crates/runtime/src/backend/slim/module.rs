//! Which parts of the optimised HLO module can be replaced or removed, and how is the rest written?

use std::collections::{HashMap, HashSet};

use super::NotSlimmed;
use super::plan::Plan;
use super::wire::{Message, Value, is_one_of, put_bytes};

/// Fields of `HloInstructionProto`.
mod instruction {
    use std::ops::RangeInclusive;

    pub(super) const NAME: u32 = 1;
    pub(super) const OPCODE: u32 = 2;
    pub(super) const SHAPE: u32 = 3;
    pub(super) const METADATA: u32 = 7;
    pub(super) const FUSION_KIND: u32 = 11;
    pub(super) const ID: u32 = 35;
    pub(super) const OPERANDS: u32 = 36;
    pub(super) const CONTROL_PREDECESSORS: u32 = 37;
    pub(super) const CALLED_COMPUTATIONS: u32 = 38;
    pub(super) const FRONTEND_ATTRIBUTES: u32 = 68;
    pub(super) const OUTPUT_OPERAND_ALIASING: u32 = 74;
    pub(super) const STATISTICS: u32 = 82;
    pub(super) const ORIGINAL_VALUE: u32 = 88;
    pub(super) const KNOWN: RangeInclusive<u32> = 1..=91;
}

/// The operations that a fusion's body may hold if it is to be replaced. Each gives a new value:
/// none of them writes in place (dynamic-update-slice, scatter), keeps state, communicates with
/// other devices, or calls foreign code. XLA looks for operations of those kinds within fusions.
const PLAIN_OPERATIONS: &str = "\
    abs add and atan2 bitcast bitcast-convert broadcast cbrt ceil clamp compare complex concatenate \
    constant convert convolution copy cosine count-leading-zeros divide dot dynamic-slice erf exponential \
    exponential-minus-one floor gather get-tuple-element imag iota is-finite log log-plus-one logistic \
    map maximum minimum multiply negate not or pad parameter popcnt power real reduce reduce-precision \
    reduce-window remainder reshape reverse round-nearest-afz round-nearest-even rsqrt select shift-left \
    shift-right-arithmetic shift-right-logical sign sine slice sqrt subtract tan tanh transpose tuple xor";

/// The kinds of fusions that XLA:CPU compiles to a kernel. A fusion of the custom kind may be read
/// again while the executable is loaded.
const KERNEL_FUSIONS: &str = "kLoop kInput kOutput";

/// Whether a `PrimitiveType` is an element type of arrays. Tuple (13), opaque (14), token (17) and
/// types that may be added later are not.
fn is_element_type(primitive_type: u64) -> bool {
    matches!(primitive_type, 1..=12 | 15 | 16 | 18..=33)
}

/// The operations that XLA counts as one floating point operation per element.
const COUNTED_OPERATIONS: &str = "add divide maximum minimum multiply subtract";

/// One `HloInstructionProto`.
pub(super) struct Instruction<'a> {
    pub(super) message: Message<'a>,
    pub(super) id: u64,
    pub(super) opcode: &'a [u8],
    /// The number of elements, if the value is one array, and not a tuple or a token.
    elements: Option<u64>,
    /// The ids of the instructions whose values it reads.
    operands: Vec<u64>,
    /// The ids of the computations it calls.
    pub(super) calls: Vec<u64>,
}

/// One `HloComputationProto`.
pub(super) struct Computation<'a> {
    pub(super) message: Message<'a>,
    pub(super) id: u64,
    is_fusion: bool,
    pub(super) instructions: Vec<Instruction<'a>>,
    /// The instruction whose value is the result.
    root: u64,
    /// The instructions whose values are the results: the root, or the operands of a root that
    /// makes a tuple.
    results: HashSet<u64>,
}

/// The `HloModuleProto`, parsed as far as is needed.
pub(super) struct Module<'a> {
    pub(super) message: Message<'a>,
    pub(super) entry: u64,
    /// In the order of the file.
    pub(super) computations: Vec<Computation<'a>>,
    /// The position in `computations` of each id.
    position: HashMap<u64, usize>,
    /// The computation that each instruction belongs to.
    pub(super) owner: HashMap<u64, u64>,
    /// The computations that have a schedule.
    pub(super) scheduled: HashSet<u64>,
}

impl<'a> Module<'a> {
    const COMPUTATIONS: u32 = 3;
    const SCHEDULE: u32 = 7;
    const STACK_FRAMES: u32 = 17;

    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, NotSlimmed> {
        let message = Message::read(bytes, "the HLO module", 1..=20)?;
        let computations = message
            .every(Self::COMPUTATIONS)
            .map(|bytes| Computation::read(bytes?))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut position, mut owner) = (HashMap::new(), HashMap::new());
        for (index, computation) in computations.iter().enumerate() {
            if position.insert(computation.id, index).is_some() {
                return Err(NotSlimmed::Inconsistent { what: "two computations have one id" });
            }
            for instruction in &computation.instructions {
                if owner.insert(instruction.id, computation.id).is_some() {
                    return Err(NotSlimmed::Inconsistent { what: "two instructions have one id" });
                }
            }
        }
        let entry = message.varint(6)?;
        let calls = computations
            .iter()
            .flat_map(|computation| &computation.instructions)
            .flat_map(|one| &one.calls);
        if !calls.chain([&entry]).all(|id| position.contains_key(id)) {
            return Err(NotSlimmed::Inconsistent {
                what: "a computation that is called does not exist",
            });
        }
        let schedule = Message::read(message.bytes(Self::SCHEDULE)?, "the schedule", 1..=1)?;
        let scheduled = schedule
            .every(1)
            .map(|entry| scheduled_computation(entry?))
            .collect::<Result<_, _>>()?;
        Ok(Self { message, entry, computations, position, owner, scheduled })
    }

    pub(super) fn get(&self, id: u64) -> Option<&Computation<'a>> {
        self.computations.get(*self.position.get(&id)?)
    }

    /// The computations that can be reached from `roots`, if those in `bodiless` call nothing.
    pub(super) fn reachable(
        &self,
        roots: impl IntoIterator<Item = u64>,
        bodiless: &HashSet<u64>,
    ) -> HashSet<u64> {
        let mut pending: Vec<u64> = roots.into_iter().collect();
        let mut reached: HashSet<u64> = HashSet::new();
        while let Some(id) = pending.pop() {
            if !reached.insert(id) || bodiless.contains(&id) {
                continue;
            }
            let instructions =
                self.get(id).into_iter().flat_map(|computation| &computation.instructions);
            pending.extend(instructions.flat_map(|instruction| &instruction.calls));
        }
        reached
    }

    pub(super) fn write(&self, plan: &Plan) -> Result<Vec<u8>, NotSlimmed> {
        let mut written = Vec::with_capacity(self.message.length());
        let mut computations = self.computations.iter();
        for field in self.message.fields() {
            match (field.number, field.value) {
                (Self::COMPUTATIONS, _) => {
                    if let Some(computation) =
                        computations.next().filter(|one| !plan.dropped.contains(&one.id))
                    {
                        put_bytes(&mut written, Self::COMPUTATIONS, &computation.write(plan));
                    }
                }
                (Self::SCHEDULE, Value::Bytes(bytes)) => {
                    let mut schedule = Vec::with_capacity(bytes.len());
                    for entry in Message::read(bytes, "the schedule", 1..=1)?.fields() {
                        let Value::Bytes(one) = entry.value else { continue };
                        if !plan.dropped.contains(&scheduled_computation(one)?) {
                            schedule.extend_from_slice(entry.raw);
                        }
                    }
                    put_bytes(&mut written, Self::SCHEDULE, &schedule);
                }
                // Only the removed metadata pointed into this field.
                (Self::STACK_FRAMES, _) => {}
                _ => written.extend_from_slice(field.raw),
            }
        }
        Ok(written)
    }
}

/// The computation's id, which is the key of an entry of the schedule.
fn scheduled_computation(entry: &[u8]) -> Result<u64, NotSlimmed> {
    Message::read(entry, "an entry of the schedule", 1..=2)?.varint(1)
}

impl<'a> Computation<'a> {
    const INSTRUCTIONS: u32 = 2;

    fn read(bytes: &'a [u8]) -> Result<Self, NotSlimmed> {
        let message = Message::read(bytes, "a computation", 1..=8)?;
        let instructions = message
            .every(Self::INSTRUCTIONS)
            .map(|bytes| Instruction::read(bytes?))
            .collect::<Result<_, _>>()?;
        let (id, root) = (message.varint(5)?, message.varint(6)?);
        let instructions: Vec<Instruction<'_>> = instructions;
        let Some(last) = instructions.iter().find(|one| one.id == root) else {
            return Err(NotSlimmed::Inconsistent {
                what: "the root of a computation does not exist",
            });
        };
        let results = if last.opcode == b"tuple" {
            last.operands.iter().copied().collect()
        } else {
            HashSet::from([root])
        };
        Ok(Self {
            id,
            is_fusion: message.varint_or_zero(7)? == 1,
            instructions,
            root,
            results,
            message,
        })
    }

    /// A lower bound of the floating point operations that XLA counts in this computation.
    pub(super) fn operations(&self) -> u64 {
        let counted =
            self.instructions.iter().filter(|one| is_one_of(COUNTED_OPERATIONS, one.opcode));
        counted.filter_map(|one| one.elements).fold(0, u64::saturating_add)
    }

    /// Whether this fusion's body can be replaced by its stub without any effect outside of it.
    pub(super) fn is_plain_body(&self) -> bool {
        let plain = |one: &Instruction<'_>| {
            is_one_of(PLAIN_OPERATIONS, one.opcode)
                && !one.message.has(instruction::CONTROL_PREDECESSORS)
                && (one.elements.is_some() || !self.results.contains(&one.id))
        };
        let here: HashSet<u64> = self.instructions.iter().map(|one| one.id).collect();
        let something_goes =
            self.instructions.iter().any(|one| !self.stays_in_stub(one) || !one.calls.is_empty());
        self.is_fusion
            && something_goes
            && self.instructions.iter().all(plain)
            && self.results.is_subset(&here)
    }

    fn stays_in_stub(&self, one: &Instruction<'_>) -> bool {
        one.opcode == b"parameter" || one.id == self.root || self.results.contains(&one.id)
    }

    fn write(&self, plan: &Plan) -> Vec<u8> {
        let is_stub = plan.stubbed.contains(&self.id);
        let mut written = Vec::with_capacity(self.message.length());
        let mut instructions = self.instructions.iter();
        for field in self.message.fields() {
            if field.number != Self::INSTRUCTIONS {
                written.extend_from_slice(field.raw);
                continue;
            }
            let Some(one) = instructions.next() else { continue };
            if is_stub && self.results.contains(&one.id) && one.opcode != b"parameter" {
                put_bytes(&mut written, Self::INSTRUCTIONS, &one.as_constant());
            } else if !is_stub || self.stays_in_stub(one) {
                put_bytes(&mut written, Self::INSTRUCTIONS, &one.without_metadata());
            }
        }
        written
    }
}

impl<'a> Instruction<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, NotSlimmed> {
        let message = Message::read(bytes, "an instruction", instruction::KNOWN)?;
        message.bytes(instruction::NAME)?;
        let shape = Message::read(message.bytes(instruction::SHAPE)?, "a shape", 2..=6)?;
        let elements = shape.numbers(3)?.into_iter().fold(1_u64, u64::saturating_mul);
        Ok(Self {
            id: message.varint(instruction::ID)?,
            opcode: message.bytes(instruction::OPCODE)?,
            elements: is_element_type(shape.varint(2)?).then_some(elements),
            operands: message.numbers(instruction::OPERANDS)?,
            calls: message.numbers(instruction::CALLED_COMPUTATIONS)?,
            message,
        })
    }

    /// Whether this is a fusion that was compiled to a kernel, and whose only effect is its result.
    pub(super) fn is_kernel_fusion(&self) -> bool {
        let kind = self.message.bytes(instruction::FUSION_KIND);
        self.opcode == b"fusion"
            && self.calls.len() == 1
            && kind.is_ok_and(|kind| is_one_of(KERNEL_FUSIONS, kind))
            && !self.message.has(instruction::OUTPUT_OPERAND_ALIASING)
    }

    fn without_metadata(&self) -> Vec<u8> {
        let mut written = Vec::with_capacity(self.message.length());
        for field in self.message.fields() {
            let goes = match field.number {
                instruction::METADATA | instruction::STATISTICS | instruction::ORIGINAL_VALUE => {
                    true
                }
                // An empty message reads like an absent one, so it is removed. Any other stays.
                instruction::FRONTEND_ATTRIBUTES => field.value == Value::Bytes(&[]),
                _ => false,
            };
            if !goes {
                written.extend_from_slice(field.raw);
            }
        }
        written
    }

    /// A constant with this instruction's name, shape and id. A constant without a literal stands
    /// for a value that is known elsewhere.
    fn as_constant(&self) -> Vec<u8> {
        let mut written = Vec::new();
        for field in self.message.fields() {
            match field.number {
                instruction::OPCODE => put_bytes(&mut written, instruction::OPCODE, b"constant"),
                instruction::NAME | instruction::SHAPE | instruction::ID => {
                    written.extend_from_slice(field.raw);
                }
                _ => {}
            }
        }
        written
    }
}
