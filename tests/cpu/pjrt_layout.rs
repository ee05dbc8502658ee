//! Does `pjrt::sys` lay out its types as a C compiler lays out the types of the header that ships
//! beside the xla-cpu plugin?
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::fmt::Write as _;
use std::mem::size_of;
use std::process::Command;

use preheat_pjrt::sys;
use preheat_pjrt::sys::Args as _;

/// In C, `offsetof` cannot name an unnamed union. So this returns the name of the union's first
/// member, which has the same offset.
fn member_in_c<'a>(c_struct: &str, field: &'a str) -> &'a str {
    match (c_struct, field) {
        ("PJRT_NamedValue", "value") => "string_value",
        ("PJRT_Buffer_MemoryLayout", "layout") => "tiled",
        _ => field,
    }
}

/// One line `expression = number` for each size, offset and value, with the numbers of `sys`.
fn rust_side() -> String {
    let mut lines = String::new();
    let mut line = |what: String, number: usize| writeln!(lines, "{what} = {number}").unwrap();
    line("PJRT_API_MAJOR".into(), usize::try_from(sys::API_MAJOR).unwrap());
    line("PJRT_API_MINOR".into(), usize::try_from(sys::API_MINOR).unwrap());
    for layout in sys::STRUCTS.iter().copied().flatten() {
        let name = layout.c_name;
        line(format!("sizeof({name})"), layout.size);
        if let Some(size) = layout.struct_size {
            line(format!("{name}_STRUCT_SIZE"), size);
        }
        for field in layout.fields {
            let member = member_in_c(name, field.c_name);
            line(format!("offsetof({name}, {member})"), field.offset);
            line(format!("sizeof((({name}*)0)->{member})"), field.size);
        }
    }
    for layout in sys::ENUMS {
        line(format!("sizeof({})", layout.c_name), layout.size);
        for (name, value) in layout.values {
            line((*name).into(), usize::try_from(*value).unwrap());
        }
    }
    line("sizeof(PJRT_Api)".into(), size_of::<sys::Api>());
    line("PJRT_Api_STRUCT_SIZE".into(), sys::Api::STRUCT_SIZE);
    line(
        "offsetof(PJRT_Api, pjrt_api_version)".into(),
        std::mem::offset_of!(sys::Api, pjrt_api_version),
    );
    for (name, offset) in sys::FUNCTIONS {
        line(format!("offsetof(PJRT_Api, {name})"), *offset);
    }
    lines
}

/// If a wider member of a union were missing in `sys`, the struct around the union would have
/// another size.
#[test]
fn every_size_offset_and_value_is_that_of_the_header() {
    let rust = rust_side();
    let mut c = String::from("#include <stdio.h>\n#include \"pjrt_c_api.h\"\nint main(void) {\n");
    for line in rust.lines() {
        let (expression, _) = line.rsplit_once(" = ").unwrap();
        writeln!(c, "  printf(\"{expression} = %zu\\n\", (size_t)({expression}));").unwrap();
    }
    c.push_str("  return 0;\n}\n");

    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("layout");
    support::compile_c(&c, &program, false);
    let output = Command::new(&program).output().unwrap();
    assert!(output.status.success());
    let c_side = String::from_utf8(output.stdout).unwrap();

    let wrong: Vec<String> = rust
        .lines()
        .zip(c_side.lines())
        .filter(|(ours, theirs)| ours != theirs)
        .map(|(ours, theirs)| {
            format!("{ours} in Rust, {} in C", theirs.rsplit_once(" = ").map_or(theirs, |(_, n)| n))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rust.lines().count(), c_side.lines().count());
}

/// Checks that `sys` declares every name that the header declares, even if no code uses the name
/// yet.
#[test]
fn no_struct_enum_or_function_of_the_header_is_missing() {
    let header = std::fs::read_to_string(support::header_dir().join("pjrt_c_api.h")).unwrap();
    let structs: Vec<&str> =
        sys::STRUCTS.iter().copied().flatten().map(|layout| layout.c_name).collect();
    let mut missing = Vec::new();
    for line in header.lines() {
        let words = line.trim_start().trim_start_matches("typedef ");
        if let Some(name) = words.strip_prefix("struct ").and_then(|rest| rest.strip_suffix(" {"))
            && name != "PJRT_Api"
            && !structs.contains(&name)
        {
            missing.push(name);
        }
        if let Some(name) = line
            .trim()
            .strip_prefix("_PJRT_API_STRUCT_FIELD(")
            .and_then(|rest| rest.strip_suffix(");"))
            && !sys::FUNCTIONS.iter().any(|(function, _)| *function == name)
        {
            missing.push(name);
        }
        if let Some(name) = line.strip_prefix("} ").and_then(|rest| rest.strip_suffix(";"))
            && !["PJRT_Extension_Base", "PJRT_Chunk", "PJRT_Api"].contains(&name)
            && !sys::ENUMS.iter().any(|layout| layout.c_name == name)
        {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(structs.len() > 100 && sys::FUNCTIONS.len() > 100);
}
