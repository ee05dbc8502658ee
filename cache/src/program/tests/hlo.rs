use super::*;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn nested(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn text(field: u64, content: &str) -> Vec<u8> {
    nested(field, content.as_bytes())
}

/// The parts that a test changes in a module that is otherwise fixed.
#[derive(Clone, Debug)]
struct Module {
    name: &'static str,
    metadata: Option<Vec<u8>>,
    in_instruction: Vec<u8>,
    at_end: Vec<u8>,
    opcode: &'static str,
}

fn module() -> Module {
    Module { name: "m", metadata: None, in_instruction: vec![], at_end: vec![], opcode: "add" }
}

impl Module {
    fn bytes(&self) -> Vec<u8> {
        let metadata = self.metadata.as_ref().map_or_else(Vec::new, |metadata| nested(7, metadata));
        let instruction = [
            text(1, "add.1"),
            text(2, self.opcode),
            metadata,
            number(35, 1),
            self.in_instruction.clone(),
        ]
        .concat();
        let computation =
            [text(1, "main"), nested(2, &instruction), nested(2, &instruction), number(5, 7)]
                .concat();
        [
            text(1, self.name),
            text(2, "main"),
            nested(3, &computation),
            number(6, 7),
            self.at_end.clone(),
        ]
        .concat()
    }

    fn digest(&self) -> Digest {
        let program = Program::sniff(self.bytes()).unwrap();
        assert_eq!(program.format(), ProgramFormat::Hlo);
        program.digest()
    }
}

#[test]
fn source_positions_and_the_modules_name_and_id_are_left_out() {
    let position =
        [text(1, "type"), text(2, "jit(f)/add"), text(3, "a.py"), number(4, 12), number(15, 3)]
            .concat();
    for same in [
        Module { name: "another", ..module() },
        Module { name: "", ..module() },
        Module { metadata: Some(position), ..module() },
        Module { metadata: Some(vec![]), ..module() },
        Module {
            metadata: Some([number(17, 1), number(18, 2), number(19, 3)].concat()),
            ..module()
        },
        Module { in_instruction: text(82, "viz"), ..module() },
        Module { at_end: nested(17, &text(1, "a.py")), ..module() },
        Module { at_end: number(5, 1), ..module() },
    ] {
        assert_eq!(same.digest(), module().digest(), "{same:?}");
    }
}

#[test]
fn all_else_is_kept() {
    let changed = [
        Module { opcode: "multiply", ..module() },
        Module { metadata: Some(number(5, 1)), ..module() },
        Module { metadata: Some(number(13, 1)), ..module() },
        Module { metadata: Some([text(2, "name"), text(12, "deduplicated")].concat()), ..module() },
        Module { in_instruction: text(43, "backend"), ..module() },
        Module { in_instruction: text(68, "frontend"), ..module() },
        Module { in_instruction: number(4000, 1), ..module() },
        Module { at_end: nested(8, &number(1, 1)), ..module() },
        Module { at_end: nested(3, &text(1, "another computation")), ..module() },
    ];
    let digests: Vec<Digest> = changed.iter().map(Module::digest).collect();
    for (index, digest) in digests.iter().enumerate() {
        assert_ne!(*digest, module().digest(), "{:?}", changed[index]);
        assert!(!digests[..index].contains(digest), "{:?}", changed[index]);
    }
}

#[test]
fn fields_do_not_wander_between_messages() {
    // The same bytes are inside an instruction or after it, and inside a computation or after it.
    let field = number(40, 1);
    let instruction = |extra: &[u8]| [text(2, "add"), extra.to_vec()].concat();
    let inside = nested(3, &nested(2, &instruction(&field)));
    let after_instruction = nested(3, &[nested(2, &instruction(&[])), field.clone()].concat());
    let after_computation = [nested(3, &nested(2, &instruction(&[]))), field].concat();
    let digest = |body: &[u8]| Program::sniff([body, &number(6, 1)].concat()).unwrap().digest();
    assert_ne!(digest(&inside), digest(&after_instruction));
    assert_ne!(digest(&after_instruction), digest(&after_computation));
    assert_ne!(digest(&inside), digest(&after_computation));
}

#[test]
fn what_is_cut_short_or_is_another_message_is_no_program() {
    let whole = module().bytes();
    for length in 0..whole.len() {
        // A module that is cut between two of its fields may still be a program, if the entry and a
        // computation are there.
        let program = Program::sniff(whole[..length].to_vec());
        assert!(program.is_err() || length > whole.len() - 3, "{length} of {}", whole.len());
    }
    let wrapped = nested(1, &whole);
    assert!(Program::sniff(wrapped).is_err());
}

proptest! {
    #[test]
    fn any_byte_of_what_is_kept_changes_the_digest(at in 0_usize..200, bit in 0..8) {
        let mut bytes = module().bytes();
        let at = at % bytes.len();
        // The module's name is the third byte. The first byte, its tag, may turn into the tag of
        // the id, which is left out as well.
        prop_assume!(at != 2 && at != 0);
        let digest = |bytes: &[u8]| Program::new(ProgramFormat::Hlo, bytes.to_vec()).digest();
        let before = digest(&bytes);
        bytes[at] ^= 1_u8 << bit;
        prop_assert_ne!(digest(&bytes), before);
    }
}
