use preheat_tensor::Dtype;
use proptest::prelude::*;

use super::*;
use crate::environment::{Flags, Host};
use crate::options::OptionValue;
use crate::program::ProgramFormat;
use crate::signature::{Projection, create_execution_signature};

pub(crate) fn inputs() -> KeyInputs {
    KeyInputs {
        program: Program::new(ProgramFormat::Mlir, b"module @a {}".to_vec()),
        options: CompileOptions::default(),
        environment: Arc::new(crate::environment::tests::example()),
    }
}

fn with_environment(change: impl FnOnce(&mut Environment)) -> KeyInputs {
    let mut environment = (*inputs().environment).clone();
    change(&mut environment);
    KeyInputs { environment: Arc::new(environment), ..inputs() }
}

fn with_options(change: impl FnOnce(&mut CompileOptions)) -> KeyInputs {
    let mut inputs = inputs();
    change(&mut inputs.options);
    inputs
}

fn with_program(format: ProgramFormat, text: &str) -> KeyInputs {
    KeyInputs { program: Program::new(format, text.as_bytes().to_vec()), ..inputs() }
}

#[test]
fn the_keys_are_pinned() {
    assert_eq!(
        inputs().graph_key().to_string(),
        "00fe368c7d932224d63439443a2d6853eb8d0a7ec005623680c1f9e1404426c7"
    );
    let signature =
        create_execution_signature("sd15", [1, 4, 64, 64], 1, 7.5, "euler", 20, Dtype::BFloat16)
            .unwrap();
    let projected =
        signature.project(&Projection { extra: "bf16".to_owned(), ..Projection::exact() });
    let (environment, builder) = (inputs().environment.digest(), BuilderId("b".into()));
    let key =
        projection_key("denoiser", &projected, &environment, &builder, &CompileOptions::default());
    assert_eq!(key.to_string(), "890e011424705622df417c947c2d3f88d07aa1fc6929e5afc73241fbc5b2e16e");
}

#[test]
fn every_input_changes_the_graph_key() {
    let set = |name: &str, value| {
        with_options(|options| drop(options.overrides.insert(name.into(), value)))
    };
    let changed = [
        with_program(ProgramFormat::Mlir, "module @a { }"),
        with_program(ProgramFormat::Hlo, "module @a {}"),
        with_options(|options| options.num_replicas = 2),
        with_options(|options| options.num_partitions = 2),
        with_options(|options| options.use_spmd_partitioning = true),
        with_options(|options| options.device_assignment = vec![0]),
        with_options(|options| options.device_assignment = vec![0, 1]),
        set("a", OptionValue::Bool(true)),
        set("a", OptionValue::Bool(false)),
        set("a", OptionValue::Int(1)),
        set("a", OptionValue::Int(0)),
        set("a", OptionValue::Float(1.0)),
        set("a", OptionValue::Text("1".into())),
        set("b", OptionValue::Text("1".into())),
        with_environment(|environment| environment.plugin_build.push('x')),
        with_environment(|environment| environment.platform.push('x')),
        with_environment(|environment| environment.platform_version.push('x')),
        with_environment(|environment| environment.device_kind.push('x')),
        with_environment(|environment| environment.topology.kind.push('x')),
        with_environment(|environment| environment.topology.bounds.push(1)),
        with_environment(|environment| environment.topology.core_count = 9),
        with_environment(|environment| environment.device_assignment.push(1)),
        with_environment(|environment| environment.xla_flags = Flags::parse("--c")),
        with_environment(|environment| environment.libtpu_init_args = Flags::parse("--c")),
        with_environment(|environment| environment.host = None),
        with_environment(|environment| {
            environment.host = Some(Host { features: vec!["+avx2".into()], schedulable_cpus: 2 });
        }),
        with_environment(|environment| {
            environment.host =
                environment.host.take().map(|host| Host { schedulable_cpus: 1, ..host });
        }),
    ];
    let mut keys = vec![inputs().graph_key()];
    for inputs in changed {
        let key = inputs.graph_key();
        assert!(!keys.contains(&key), "{inputs:?}");
        keys.push(key);
    }
}

#[test]
fn what_changes_no_code_changes_no_graph_key() {
    for same in [
        with_program(ProgramFormat::Mlir, "module @b {}"),
        with_program(ProgramFormat::Mlir, "module @a {} loc(\"moved.py\":9:1)"),
        with_environment(|environment| environment.raw_topology = None),
        with_environment(|environment| {
            environment.xla_flags = Flags::parse("--xla_dump_to=/x --b=1 --xla_cpu_max_isa=AVX2");
        }),
    ] {
        assert_eq!(same.graph_key(), inputs().graph_key(), "{same:?}");
    }
    let zero = |value| {
        with_options(|options| {
            drop(options.overrides.insert("z".into(), OptionValue::Float(value)));
        })
    };
    assert_eq!(zero(0.0).graph_key(), zero(-0.0).graph_key());
}

#[test]
fn every_input_changes_the_projection_key() {
    let signature =
        create_execution_signature("sd15", [1, 4, 64, 64], 1, 7.5, "euler", 20, Dtype::BFloat16)
            .unwrap();
    let other =
        create_execution_signature("sd15", [1, 4, 64, 64], 1, 7.5, "euler", 21, Dtype::BFloat16)
            .unwrap();
    let (exact, default) = (Projection::exact(), CompileOptions::default());
    let (one, two) = (signature.project(&exact), other.project(&exact));
    let (here, there) = (inputs().environment.digest(), Digest::of(b"elsewhere"));
    let (builder, rebuilt) = (BuilderId("b".into()), BuilderId("c".into()));
    let split = CompileOptions { num_partitions: 2, ..CompileOptions::default() };
    let keys = [
        projection_key("denoiser", &one, &here, &builder, &default),
        projection_key("vae_decoder", &one, &here, &builder, &default),
        projection_key("denoiser", &two, &here, &builder, &default),
        projection_key("denoiser", &one, &there, &builder, &default),
        projection_key("denoiser", &one, &here, &rebuilt, &default),
        projection_key("denoiser", &one, &here, &builder, &split),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
    }

    let recorded =
        RecordedProjection { stage: "denoiser".into(), signature: one.digest(), builder };
    assert_eq!(recorded.key(&here, &default), keys[0]);
    assert_eq!(recorded.key(&there, &default), keys[3]);
}

proptest! {
    #[test]
    fn equal_inputs_have_equal_keys_and_others_do_not(
        one in (".{0,8}", ".{0,8}", prop::collection::vec(0_u64..3, 0..3), prop::collection::btree_map("[ab]{0,2}", -1_i64..2, 0..3)),
        other in (".{0,8}", ".{0,8}", prop::collection::vec(0_u64..3, 0..3), prop::collection::btree_map("[ab]{0,2}", -1_i64..2, 0..3)),
    ) {
        let build = |parts: &(String, String, Vec<u64>, std::collections::BTreeMap<String, i64>)| {
            let mut inputs = with_environment(|environment| {
                environment.platform.clone_from(&parts.0);
                environment.platform_version.clone_from(&parts.1);
                environment.device_assignment.clone_from(&parts.2);
            });
            inputs.options.overrides = parts.3.iter().map(|(name, value)| (name.clone(), OptionValue::Int(*value))).collect();
            inputs.graph_key()
        };
        prop_assert_eq!(build(&one), build(&one.clone()));
        prop_assert_eq!(build(&one) == build(&other), one == other);
    }
}
