use super::*;

pub(crate) fn example() -> Environment {
    Environment {
        plugin_build: "gnu:0123456789abcdef".into(),
        platform: "cpu".into(),
        platform_version: "cpu".into(),
        device_kind: "cpu".into(),
        topology: Topology { kind: "cpu".into(), bounds: vec![4], core_count: 4 },
        device_assignment: vec![0],
        xla_flags: Flags::parse("--xla_cpu_max_isa=AVX2 --b=1"),
        libtpu_init_args: Flags::parse("--xla_tpu_x=true"),
        host: Some(Host { features: vec!["+avx2".into(), "+fma".into()], schedulable_cpus: 2 }),
        raw_topology: Some(vec![0, 1, 254, 255]),
    }
}

fn words(text: &str) -> Vec<String> {
    Flags::parse(text).words().to_vec()
}

#[test]
fn the_digest_is_pinned() {
    assert_eq!(
        example().digest().to_string(),
        "d100e83009a47a8bae464878707c902a84d0b38898f7a2c9d2ff9edab2898ac2"
    );
}

#[test]
fn every_field_changes_the_digest_and_is_named_in_the_difference() {
    let changes: Vec<(&str, Environment)> = vec![
        ("plugin_build", Environment { plugin_build: "gnu:ff".into(), ..example() }),
        ("platform", Environment { platform: "tpu".into(), ..example() }),
        ("platform_version", Environment { platform_version: "2".into(), ..example() }),
        ("device_kind", Environment { device_kind: "TPU v5 lite".into(), ..example() }),
        (
            "topology",
            Environment {
                topology: Topology { kind: "v5e".into(), ..example().topology },
                ..example()
            },
        ),
        (
            "topology",
            Environment {
                topology: Topology { bounds: vec![2, 2], ..example().topology },
                ..example()
            },
        ),
        (
            "topology",
            Environment { topology: Topology { core_count: 8, ..example().topology }, ..example() },
        ),
        ("device_assignment", Environment { device_assignment: vec![1], ..example() }),
        ("xla_flags", Environment { xla_flags: Flags::parse("--b=2"), ..example() }),
        ("libtpu_init_args", Environment { libtpu_init_args: Flags::default(), ..example() }),
        (
            "host.features",
            Environment {
                host: Some(Host { features: vec!["+avx2".into()], schedulable_cpus: 2 }),
                ..example()
            },
        ),
        (
            "host.schedulable_cpus",
            Environment {
                host: example().host.map(|host| Host { schedulable_cpus: 1, ..host }),
                ..example()
            },
        ),
    ];
    for (field, changed) in changes {
        assert_ne!(changed.digest(), example().digest(), "{field}");
        let differences = example().differences(&changed);
        assert_eq!(
            differences.iter().map(|difference| difference.field.as_str()).collect::<Vec<_>>(),
            [field]
        );
    }
    let moved = Environment {
        xla_flags: example().libtpu_init_args,
        libtpu_init_args: example().xla_flags,
        ..example()
    };
    assert_ne!(moved.digest(), example().digest());
    assert_ne!(Environment { host: None, ..example() }.digest(), example().digest());
}

#[test]
fn what_decides_nothing_changes_nothing() {
    let same = [
        Environment { raw_topology: None, ..example() },
        Environment {
            xla_flags: Flags::parse(" --b=1\t--xla_dump_to=/x --xla_cpu_max_isa=AVX2 \n"),
            ..example()
        },
        Environment {
            host: Some(Host { features: vec!["+fma".into(), "+avx2".into()], schedulable_cpus: 2 }),
            ..example()
        },
    ];
    for environment in same {
        assert_eq!(environment.digest(), example().digest(), "{environment:?}");
        assert!(example().differences(&environment).is_empty());
    }
}

#[test]
fn flags_are_read_as_xla_reads_them() {
    assert_eq!(words(""), [""; 0]);
    assert_eq!(words("--b=2 --a"), ["--a", "--b=2"]);
    assert_eq!(words(r#"--a="x y" --b='p "q" \z'"#), ["--a=x y", r#"--b=p "q" \z"#]);
    assert_eq!(words(r#"--a="x \" y\\""#), [r#"--a=x " y\"#]);
    assert_eq!(words(r#"--a="open"#), ["--a=open"]);
    assert_eq!(words(r#"--a="x"--b"#), ["--a=x", "--b"]);
    assert_eq!(words(r#"--a=x"y z""#), [r#"--a=x"y"#, r#"z""#]);
    assert_eq!(words("--b=2 stop --a"), ["--b=2", "stop --a"]);
    assert_eq!(words("--na\u{ef}ve=\"\u{fc}\" -x"), ["--na\u{ef}ve=\"\u{fc}\"", "-x"]);
    assert_eq!(words("--quoted='\u{fc} \u{ef}'"), ["--quoted=\u{fc} \u{ef}"]);
}

#[test]
fn the_last_switch_stands_and_lists_add_up() {
    assert_eq!(words("--a=true --a=false"), ["--a=false"]);
    assert_eq!(words("--a=false --a"), ["--a"]);
    assert_eq!(words("--xla_disable_hlo_passes=b --xla_disable_hlo_passes=a").len(), 2);
    assert_ne!(words("--p=b --p=a"), words("--p=a --p=b"));
}

#[test]
fn only_what_is_known_to_dump_is_dropped() {
    for (name, _) in DUMP_ONLY_FLAGS {
        assert!(Flags::parse(&format!("--{name}=1")).is_empty(), "{name}");
    }
    for kept in [
        "--xla_dump_hlo_snapshots",
        "--xla_dump_something_new=1",
        "--xla_dump_to_other=1",
        "-xla_dump_to=/x",
    ] {
        assert_eq!(words(kept), [kept]);
    }
    assert!(DUMP_ONLY_FLAGS.is_sorted());
}

#[test]
fn a_flag_is_found_by_its_name() {
    let flags = Flags::parse("--a=1 --ab --c=x --c=y");
    assert_eq!(flags.get("a"), Some("1"));
    assert_eq!(flags.get("ab"), Some(""));
    assert_eq!(flags.get("c"), Some("y"));
    assert_eq!(flags.get("b"), None);
}

#[test]
fn a_file_of_flags_is_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "--b=1\n--a=2\n").unwrap();
    assert_eq!(
        Flags::from_xla_flags(file.path().to_str().unwrap()).unwrap().words(),
        ["--a=2", "--b=1"]
    );
    assert!(Flags::from_xla_flags("").unwrap().is_empty());
    let error = Flags::from_xla_flags("no such file").unwrap_err();
    assert!(error.to_string().contains("no such file"));
}

#[test]
fn json_reads_back() {
    let json = serde_json::to_string(&example()).unwrap();
    assert!(json.contains(r#""raw_topology":"0001feff""#));
    assert_eq!(serde_json::from_str::<Environment>(&json).unwrap(), example());
    assert!(serde_json::from_str::<Environment>(&json.replace("0001feff", "0001fef")).is_err());
}
