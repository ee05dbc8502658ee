use super::*;

/// A program that JAX exported, as described in tests/programs/devices/export.py.
macro_rules! exported {
    ($file:literal) => {
        include_bytes!(concat!("../../../../tests/programs/devices/", $file)).to_vec()
    };
}

fn of(bytes: impl Into<Vec<u8>>) -> Requirements {
    Program::sniff(bytes.into()).unwrap().requirements().unwrap().clone()
}

fn of_text(attributes: &str, operations: &str) -> Requirements {
    of(format!("module attributes {{{attributes}}} {{\n{operations}\n}}\n"))
}

#[test]
fn what_jax_declares_is_read_in_every_form() {
    for (bytes, partitions, named, uses_shardy) in [
        (exported!("psum_two_gspmd.mlir"), 2, Some(2), false),
        (exported!("psum_two_gspmd.mlirbc"), 2, Some(2), false),
        (exported!("psum_two_gspmd.exported"), 2, Some(2), false),
        (exported!("psum_two_gspmd.hlo.pb"), 1, Some(2), false),
        (exported!("psum_two_shardy.mlir"), 2, Some(2), true),
        (exported!("psum_two_shardy.mlirbc"), 2, Some(2), true),
        (exported!("psum_two_shardy.exported"), 2, Some(2), true),
        (exported!("psum_two_shardy.hlo.pb"), 1, Some(2), true),
        (exported!("matmul_four_gspmd.mlir"), 4, Some(4), false),
        (exported!("matmul_four_gspmd.mlirbc"), 4, Some(4), false),
        (exported!("matmul_four_gspmd.exported"), 4, Some(4), false),
        (exported!("matmul_four_gspmd.hlo.pb"), 1, Some(4), false),
        (exported!("matmul_four_shardy.mlir"), 4, Some(4), true),
        (exported!("matmul_four_shardy.mlirbc"), 4, None, true),
        (exported!("matmul_four_shardy.exported"), 4, None, true),
        (exported!("matmul_four_shardy.hlo.pb"), 1, Some(4), true),
        (exported!("psum_one.mlir"), 1, None, false),
        (exported!("psum_one.mlirbc"), 1, None, false),
        (exported!("psum_one.hlo.pb"), 1, None, false),
        (exported!("double.exported"), 1, None, false),
        (exported!("callback.mlir"), 1, None, false),
    ] {
        let found = of(bytes.clone());
        let have = (
            found.replicas,
            found.partitions,
            found.named.map(|named| named.at_least),
            found.uses_shardy,
        );
        assert_eq!(
            have,
            (1, partitions, named, uses_shardy),
            "{:?}",
            String::from_utf8_lossy(&bytes[..40])
        );
        assert_eq!((found.host_transfer, found.layout), (None, None));
    }
}

#[test]
fn an_exported_function_is_the_module_in_it() {
    let program = Program::sniff(exported!("psum_two_gspmd.exported")).unwrap();
    assert_eq!(program, Program::sniff(exported!("psum_two_gspmd.mlirbc")).unwrap());
    // The file is cut off at each byte in turn, and each of its bytes is changed.
    let whole = exported!("double.exported");
    for end in 0..whole.len() {
        let _ = Program::sniff(whole[..end].to_vec());
        for byte in [0, 0xff, whole[end] ^ 0x10] {
            let mut changed = whole.clone();
            changed[end] = byte;
            let _ = Program::sniff(changed).map(|program| program.requirements().is_ok());
        }
    }
    let two = exported!("psum_two_gspmd.exported");
    let module = memchr::memmem::find(&two, bytecode::MAGIC).unwrap();
    // The number of devices is 2, and is stored as four bytes somewhere before the module. Each
    // place that could hold it is changed to 3.
    let claims =
        two.windows(4).take(module).enumerate().filter(|(_, window)| *window == [2, 0, 0, 0]);
    let refused = claims.map(|(at, _)| {
        let mut changed = two.clone();
        changed[at] = 3;
        Program::sniff(changed).map_err(|error| error.to_string())
    });
    assert!(
        refused
            .into_iter()
            .any(|result| result.is_err_and(|error| error.contains("exported for 3 devices")))
    );
}

#[test]
fn damaged_bytecode_is_refused_in_words_and_never_by_a_panic() {
    for whole in [exported!("psum_two_gspmd.mlirbc"), exported!("matmul_four_shardy.mlirbc")] {
        for at in 0..whole.len() {
            let read = |bytes: Vec<u8>| {
                Program::new(ProgramFormat::Mlir, bytes)
                    .requirements()
                    .cloned()
                    .map_err(Clone::clone)
            };
            // If a whole section is missing, the rest can be read.
            let cut = read(whole[..at].to_vec());
            assert!(cut.as_ref().map_or(true, |cut| at < 4 || cut.devices() > 1), "{at}: {cut:?}");
            for byte in [0, 1, 0xff, whole[at] ^ 2] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = read(changed);
            }
        }
    }
    let mut newer = exported!("psum_one.mlirbc");
    newer[4] = 7 << 1 | 1;
    let error = Program::new(ProgramFormat::Mlir, newer).requirements().unwrap_err().to_string();
    assert!(error.contains("newer"), "{error}");
}

#[test]
fn text_is_read_as_its_parser_reads_it() {
    let both = |attributes| {
        let found = of_text(attributes, "");
        (found.replicas, found.partitions)
    };
    assert_eq!(both(""), (1, 1));
    assert_eq!(both("mhlo.num_replicas = 2 : i32"), (2, 1));
    assert_eq!(both("mhlo.num_replicas=2 : i32, \"mhlo.num_partitions\" = 3 : i32"), (2, 3));
    assert_eq!(both("a = \"// x\", mhlo.num_replicas = 2 : i32"), (2, 1));
    assert_eq!(both("// mhlo.num_replicas = 2 : i32\n"), (1, 1));
    assert_eq!(both("x.mhlo.num_replicas = 2 : i32, mhlo.num_replicas_of = 2 : i32"), (1, 1));
    for odd in ["#count", "0 : i32", "-1 : i32", "65537 : i32", "0xFFFFFFFFFFFFFFFFF : i32"] {
        let program = format!("module attributes {{mhlo.num_partitions = {odd}}} {{}}");
        let error =
            Program::sniff(program.into_bytes()).unwrap().requirements().unwrap_err().to_string();
        assert!(error.contains("`mhlo.num_partitions`"), "{error}");
    }
}

#[test]
fn what_is_inside_names_devices() {
    let named = |operation: &str| of_text("", operation).named.map_or(1, |named| named.at_least);
    for (operation, devices) in [
        ("replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>", 4),
        ("replica_groups = dense<[[0, 1], [2, -1]]> : tensor<2x2xi64>", 3),
        ("replica_groups = dense<0> : tensor<1x1xi64>", 1),
        ("replica_groups = dense<> : tensor<0x0xi64>", 1),
        ("replica_groups = dense<\"0x00000000000000000500000000000000\"> : tensor<1x2xi64>", 6),
        ("replica_groups = dense<\"0x00\"> : tensor<1x2xi64>", 2),
        ("replica_groups = #groups", 2),
        ("source_target_pairs = dense<[[0, 1], [1, 0]]> : tensor<2x2xi64>", 2),
        ("// replica_groups = dense<[[0, 1]]>", 1),
        ("mhlo.sharding = \"{devices=[2,1,4]<=[8] last_tile_dim_replicate}\"", 8),
        ("mhlo.sharding = \"{{replicated}, {maximal device=2}}\"", 3),
        ("mhlo.sharding = \"{manual}\"", 1),
        // TensorFlow writes these three: replicated, all on the first device, and on two devices.
        ("mhlo.sharding = \"\"", 1),
        ("mhlo.sharding = \"\\08\\01\\1A\\01\\01\\22\\01\\00\"", 1),
        ("mhlo.sharding = \"\\08\\03\\1A\\02\\01\\02\\22\\02\\00\\01\"", 2),
        ("mhlo.sharding = \"odd\"", 2),
        ("mhlo.sharding = #alias", 2),
        ("sdy.mesh @mesh = <[\"x1\"=2, \"y2\"=4]>", 8),
        ("sdy.mesh @mesh = <[\"x\"=1]>", 1),
        ("sdy.mesh @one = <[], device_ids=[0]>", 1),
        ("a = {xla.sdy.meshes = \"{mesh = #sdy.mesh<[\\22x\\22=3]>}\"}", 3),
    ] {
        assert_eq!(named(operation), devices, "{operation}");
    }
}

#[test]
fn layouts_and_transfers_are_found() {
    let layout = |mode: &str| {
        of_text("", &format!("%a: tensor<2x3xf32> {{mhlo.layout_mode = {mode}}}")).layout
    };
    assert_eq!(layout("\"{0,1}\"").as_deref(), Some("{0,1}"));
    assert_eq!(layout("\"auto\"").as_deref(), Some("auto"));
    assert_eq!(layout("\"default\""), None);
    assert!(layout("#mode").is_some());
    for bytes in [exported!("column_major.mlir"), exported!("column_major.mlirbc")] {
        assert_eq!(of(bytes).layout.as_deref(), Some("{0,1}"));
    }
    let transfer = |operation: &str| of_text("", operation).host_transfer;
    assert_eq!(transfer("%0 = \"stablehlo.infeed\"(%token)"), Some("infeed"));
    assert_eq!(transfer("%0 = stablehlo.send %a"), Some("send"));
    assert_eq!(transfer("%0 = stablehlo.sender %a // stablehlo.send"), None);
}

/// A field of a message: its number and its content.
fn nested(field: u8, content: &[u8]) -> Vec<u8> {
    let tag = u16::from(field) << 3 | 2;
    let tag = if tag < 0x80 {
        vec![field << 3 | 2]
    } else {
        vec![tag.to_le_bytes()[0] | 0x80, field >> 4]
    };
    [tag, vec![u8::try_from(content.len()).unwrap()], content.to_vec()].concat()
}

#[test]
fn a_module_of_hlo_tells_by_what_is_in_it() {
    let module = |in_instruction: &[u8], in_module: &[u8]| {
        let instruction = nested(
            2,
            &[nested(1, b"i"), nested(2, b"all-reduce"), in_instruction.to_vec()].concat(),
        );
        of([nested(1, b"m"), nested(2, b"entry"), nested(3, &instruction), in_module.to_vec()]
            .concat())
    };
    let named = |field, content: &[u8]| {
        module(&nested(field, content), &[]).named.map_or(1, |named| named.at_least)
    };
    // Field 1 of a group has its ids, packed or one by one.
    assert_eq!(named(49, &nested(1, &[0, 3])), 4);
    assert_eq!(named(49, &[1 << 3, 5]), 6);
    assert_eq!(named(49, &nested(1, &[0])), 1);
    assert_eq!(named(52, &[1 << 3, 0, 2 << 3, 1]), 2);
    // First groups that are listed one by one, then two groups of four devices in the short form.
    assert_eq!(named(87, &nested(1, &nested(1, &[0, 1]))), 2);
    assert_eq!(named(87, &nested(2, &[1 << 3, 2, 2 << 3, 4])), 8);
    // First a sharding of 2 x 3 tiles, then a sharding inside a tuple.
    assert_eq!(named(40, &nested(3, &[2, 3])), 6);
    assert_eq!(named(40, &nested(5, &nested(3, &[2]))), 2);
    let assigned = module(&[], &nested(15, &[1 << 3, 2, 2 << 3, 3]));
    assert_eq!((assigned.replicas, assigned.partitions), (2, 3));
    let attribute = |key: &str, value: &str| {
        let entry = [nested(1, key.as_bytes()), nested(2, value.as_bytes())].concat();
        module(&[], &nested(19, &nested(1, &entry)))
    };
    assert_eq!(attribute("arg_layout_modes", "default;{0,1}").layout.as_deref(), Some("{0,1}"));
    assert_eq!(attribute("arg_layout_modes", "default; default").layout, None);
    assert!(attribute("xla.sdy.meshes", "{}").uses_shardy);
}

#[test]
fn words_in_comments_and_locations_choose_no_partitioner() {
    let uses_shardy =
        |operations: &str| of_text("mhlo.num_partitions = 2 : i32", operations).uses_shardy;
    assert!(uses_shardy("sdy.mesh @mesh = <[\"x\"=2]>"));
    assert!(uses_shardy("a = {xla.sdy.meshes = \"{mesh = #sdy.mesh<[\\22x\\22=2]>}\"}"));
    assert!(!uses_shardy("a loc(\"sdy.mesh\") // sdy.mesh"));
}
