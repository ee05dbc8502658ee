use proptest::prelude::*;

use super::*;

mod hlo;
mod requirements;

fn digest(text: &str) -> Digest {
    Program::new(ProgramFormat::Mlir, text.as_bytes().to_vec()).digest()
}

const PLAIN: &str = r#"module @jit_step attributes {mhlo.num_partitions = 1 : i32, x.note = "a loc(b) // c"} {
  func.func public @main(%arg0: tensor<2x3xf32> {jax.buffer_donor = true}, %arg1: i32) -> (tensor<2x3xf32>) {
    %0 = stablehlo.add %arg0, %arg0 : tensor<2x3xf32>
    %1 = call @loc(%0) {note = "say \"loc(x)\""} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    return %1 : tensor<2x3xf32>
  }
}
"#;

const LOCATED: &str = r#"#loc1 = loc("x (y")
// traced from step.py
module @jit_other_name attributes {mhlo.num_partitions = 1 : i32, x.note = "a loc(b) // c"} {
  func.func public @main(%arg0: tensor<2x3xf32> {jax.buffer_donor = true} loc("a\")b"), %arg1: i32 loc(unknown)) -> (tensor<2x3xf32>) {
    %0 = stablehlo.add %arg0, %arg0 : tensor<2x3xf32> loc(callsite("f"("a.py":3:4 to 3:9) at fused<"m(">["x", #loc1]))
    %1 = call @loc(%0) {note = "say \"loc(x)\""} : (tensor<2x3xf32>) -> tensor<2x3xf32> loc(#loc7) // why
    return %1 : tensor<2x3xf32> loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc7 = loc("step.py":12:0)
"#;

#[test]
fn locations_the_modules_name_and_comments_are_left_out() {
    let without_comment_line = LOCATED.replace("// traced from step.py\n", "");
    assert_eq!(digest(PLAIN), digest(&without_comment_line));
    let moved = LOCATED
        .replace("a.py\":3:4 to 3:9", "b.py\":30:4 to 3:9")
        .replace("jit_other_name", "\"a {b\"");
    assert_eq!(digest(LOCATED), digest(&moved));
    assert_eq!(digest(LOCATED), digest(&LOCATED.replace("traced from step.py", "")));
    assert_eq!(digest(PLAIN), digest(&PLAIN.replace(" @jit_step", "")));
    let map = "#map = affine_map<(d0) -> (d0)>\n";
    assert_eq!(digest(&format!("{map}module @a {{}}")), digest(&format!("{map}module @b {{}}")));
    assert_eq!(digest("module @a {\n}\n"), digest("module {\n}\n"));
}

#[test]
fn what_only_looks_like_a_location_is_kept() {
    let pairs = [
        ("module {} x.a = \"loc(a)\"", "module {} x.a = \"loc(b)\""),
        ("module {} call @loc(%a) loc(\"l\")", "module {} call @loc(%b) loc(\"l\")"),
        ("module {} x.loc(%a) loc(\"l\")", "module {} x.loc(%b) loc(\"l\")"),
        ("module attributes {a = loc(\"x\")} {}", "module attributes {a = loc(\"y\")} {}"),
        ("module attributes {a = [loc(\"x\")]} {}", "module attributes {a = [loc(\"y\")]} {}"),
        (
            "module attributes {a = [i32, loc(\"x\")]} {}",
            "module attributes {a = [i32, loc(\"y\")]} {}",
        ),
        (
            "#loc1 = loc(\"x\")\nmodule attributes {a = #loc1} {}",
            "#loc1 = loc(\"y\")\nmodule attributes {a = #loc1} {}",
        ),
        ("module {} // loc(\n x loc(\"l\")", "module {} // loc(\n y loc(\"l\")"),
        ("module {} a loc(\"l\")b", "module {} ab"),
        ("module {} \"//\" a", "module {} \"//\" b"),
        ("module {} \"// \\\" \" a // c", "module {} \"// \\\" \" b // c"),
        ("#local = i32 loc(\"x\")\nmodule {}", "#local = i64 loc(\"x\")\nmodule {}"),
        ("module {} a loc(unclosed", "module {} a loc(unclosed2"),
        ("module {} \"unclosed loc(x)", "module {} \"unclosed loc(y)"),
        ("module @a attributes {s = @b} {}", "module @a attributes {s = @c} {}"),
        ("module @a { module @b {} }", "module @a { module @c {} }"),
        ("func.func @a() { }", "func.func @b() { }"),
        ("module_x @a {}", "module_x @b {}"),
        ("#m = a<\"\nmodule @x {\">\nmodule @y {}", "#m = a<\"\nmodule @z {\">\nmodule @y {}"),
    ];
    for (one, other) in pairs {
        assert_ne!(digest(one), digest(other), "{one}");
    }
}

#[test]
fn formats_are_told_apart() {
    for text in [
        PLAIN,
        LOCATED,
        "func.func @main() {}",
        "// c\n\n module {}",
        "#map = affine_map<(d0) -> (d0)>\nmodule {}",
        "\"builtin.module\"() ({}) : () -> ()",
        "builtin.module @x {}",
    ] {
        assert_eq!(
            Program::sniff(text.as_bytes().to_vec()).map(|program| program.format()),
            Ok(ProgramFormat::Mlir),
            "{text}"
        );
    }
    let bytecode = Program::sniff(b"ML\xefR\x00rest".to_vec()).unwrap();
    assert_eq!(bytecode.format(), ProgramFormat::Mlir);
    assert_ne!(bytecode.digest(), Program::sniff(b"ML\xefR\x00resu".to_vec()).unwrap().digest());
    for (bytes, seen) in [
        (b"".as_slice(), "empty"),
        (b"HloModule m\n", "HLO text"),
        (b"\x7fELF\x02", "ELF"),
        (b"hello there", "hello"),
        (b"modules", "modules"),
        (b"\xff\xfe\x00", "ff"),
        (b"# a comment", "# a comment"),
    ] {
        let error = Program::sniff(bytes.to_vec()).unwrap_err().to_string();
        assert!(error.contains(seen) && error.contains("StableHLO"), "{error}");
    }
}

#[test]
fn the_digest_is_pinned_and_forms_differ() {
    assert_eq!(
        digest("module {}").to_string(),
        "01486686ef7034169877dd298b04c217511780ae05b89bdc2b9f5aa1edfcebae"
    );
    let hlo = Program::new(ProgramFormat::Hlo, b"module {}".to_vec());
    assert_ne!(hlo.digest(), digest("module {}"));
}

#[test]
fn long_pieces_hash_like_short_ones() {
    let long = "x".repeat(3 * Sink::GATHER_BYTES);
    let one = format!("module {{ a loc(\"l\") \"{long}\" b loc(\"m\")\n }}");
    let other = format!("module {{ a \"{long}\" b\n }}");
    assert_eq!(digest(&one), digest(&other));
    assert_ne!(digest(&one), digest(&other.replacen('x', "y", 1)));
}

prop_compose! {
    fn line()(name in "[a-z]{1,6}", string in "[a-z()\\\\/# ]{0,12}", value in 0_u32..1000) -> String {
        let string = string.replace('\\', "\\\"");
        format!("    %{name} = stablehlo.op @loc(%{name}) {{s = \"{string}\", v = {value}}} : tensor<{value}xf32>")
    }
}

prop_compose! {
    fn location()(name in "[a-z()\\\\/# ]{0,12}", line in 0_u32..1000, kind in 0..5) -> String {
        let name = name.replace('\\', "\\\"");
        match kind {
            0 => "loc(unknown)".into(),
            1 => format!("loc(#loc{line})"),
            2 => format!("loc(\"{name}\":{line}:1)"),
            3 => format!("loc(callsite(\"{name}\"(\"f\":{line}:2) at #loc))"),
            _ => format!("loc(fused<\"{name}\">[\"a\", \"{name}\"])"),
        }
    }
}

proptest! {
    #[test]
    fn locations_change_nothing(lines in prop::collection::vec((line(), prop::option::of(location()), prop::option::of(location())), 0..12), name in "[a-z_.$0-9-]{1,8}") {
        let (mut plain, mut located) = (String::from("module {\n"), format!("#loc = loc(unknown)\nmodule @{name} {{\n"));
        let mut names = String::new();
        for (index, (line, location, alias)) in lines.iter().enumerate() {
            plain.extend([line, "\n"]);
            let location = location.as_ref().map_or_else(String::new, |location| format!(" {location}"));
            located.extend([line, location.as_str(), "\n"]);
            names.extend(alias.as_ref().map(|alias| format!("#loc{index} = {alias}\n")));
        }
        plain.push_str("}\n");
        located.extend(["} loc(#loc)\n", &names]);
        prop_assert_eq!(digest(&plain), digest(&located));
    }

    #[test]
    fn any_other_byte_changes_the_digest(at in 0..PLAIN.len(), byte in 0x20_u8..0x7f) {
        let mut changed = PLAIN.as_bytes().to_vec();
        changed[at] = byte;
        let in_name = (8..16).contains(&at) && (byte.is_ascii_alphanumeric() || b"_$.-".contains(&byte));
        let same = in_name || changed == PLAIN.as_bytes();
        let changed = Program::new(ProgramFormat::Mlir, changed).digest();
        prop_assert_eq!(changed == digest(PLAIN), same);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), start in prop::sample::select(vec!["", "module @", "#loc = loc(", "//", "module {} a loc(", "module {mhlo.num_partitions = ", "replica_groups = dense<", "sdy.mesh <["])) {
        let bytes = [start.as_bytes(), &bytes].concat();
        let _ = Program::sniff(bytes.clone());
        for format in [ProgramFormat::Mlir, ProgramFormat::Hlo] {
            let program = Program::new(format, bytes.clone());
            let _ = (program.digest(), program.requirements().is_ok());
        }
    }
}
