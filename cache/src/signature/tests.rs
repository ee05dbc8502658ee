use super::*;

fn example() -> Signature {
    create_execution_signature("sd15", [1, 4, 64, 64], 1, 7.5, "euler", 20, Dtype::BFloat16)
        .unwrap()
}

fn with(extra: &str) -> Projection {
    Projection { extra: extra.to_owned(), ..Projection::exact() }
}

#[test]
fn the_digest_is_pinned() {
    assert_eq!(
        example().digest().to_string(),
        "af81cd11121735fdf36614281a201e7e640b8608831820d628693fa939b510a8"
    );
    assert_eq!(
        example().project(&with("bf16")).digest().to_string(),
        "c479683d4a463dcc03ae4eee2d67142e491067e0f61dfa17a96aa29eb9c33bfc"
    );
}

#[test]
fn every_field_changes_the_exact_digest() {
    let changed = [
        Signature { model_id: "sd21".into(), ..example() },
        Signature { input_shape: vec![1, 4, 64, 96], ..example() },
        Signature { input_shape: vec![1, 4, 64], ..example() },
        Signature { batch_size: 2, ..example() },
        Signature { cfg_scale: 7.0, ..example() },
        Signature { scheduler: "ddim".into(), ..example() },
        Signature { steps: 21, ..example() },
        Signature { dtype: Dtype::Float32, ..example() },
    ];
    for other in changed {
        assert_ne!(other.digest(), example().digest(), "{other:?}");
        let exact = Projection::exact();
        assert_ne!(other.project(&exact).digest(), example().project(&exact).digest(), "{other:?}");
    }
    assert_ne!(example().project(&with("a")).digest(), example().project(&with("b")).digest());
}

#[test]
fn a_step_graph_is_shared_by_what_does_not_shape_it() {
    let projection = Projection {
        extra: "bf16".to_owned(),
        ..Projection::step_graph(Digest::of(b"architecture"))
    };
    let digest = |signature: &Signature| signature.project(&projection).digest();
    for same in [
        Signature { model_id: "a fine-tune".into(), ..example() },
        Signature { cfg_scale: 7.0, ..example() },
        Signature { scheduler: "ddim".into(), ..example() },
        Signature { steps: 25, ..example() },
    ] {
        assert_eq!(digest(&same), digest(&example()), "{same:?}");
    }
    for other in [
        Signature { cfg_scale: 1.0, ..example() },
        Signature { input_shape: vec![1, 4, 96, 96], ..example() },
        Signature { batch_size: 2, ..example() },
        Signature { dtype: Dtype::Float32, ..example() },
    ] {
        assert_ne!(digest(&other), digest(&example()), "{other:?}");
    }
    let other_architecture =
        Projection { extra: "bf16".to_owned(), ..Projection::step_graph(Digest::of(b"another")) };
    assert_ne!(example().project(&other_architecture).digest(), digest(&example()));
}

#[test]
fn a_dropped_field_is_not_the_same_as_any_value_of_it() {
    let all = Projection {
        input_shape: Keep::Dropped,
        batch_size: Keep::Dropped,
        dtype: Keep::Dropped,
        ..Projection::exact()
    };
    let dropped = example().project(&all);
    assert_eq!((&dropped.input_shape, dropped.batch_size, dropped.dtype), (&None, None, None));
    assert_ne!(dropped.digest(), example().project(&Projection::exact()).digest());
    let cfg = Projection { cfg_scale: CfgProjection::Dropped, ..Projection::exact() };
    assert_eq!(
        example().project(&cfg).digest(),
        Signature { cfg_scale: 1.0, ..example() }.project(&cfg).digest()
    );
}

#[test]
fn json_has_the_names_of_the_specification() {
    let json = serde_json::to_value(example()).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"model_id": "sd15", "input_shape": [1, 4, 64, 64], "batch_size": 1, "cfg_scale": 7.5,
            "scheduler": "euler", "steps": 20, "dtype": "bfloat16"})
    );
    assert_eq!(serde_json::from_value::<Signature>(json).unwrap(), example());
}

#[test]
fn nonsense_is_refused() {
    assert!(matches!(
        Signature { cfg_scale: f64::NAN, ..example() }.validate(),
        Err(SignatureError::CfgScale(_))
    ));
    assert_eq!(
        Signature { model_id: String::new(), ..example() }.validate(),
        Err(SignatureError::ModelId)
    );
    assert_eq!(Signature { batch_size: 0, ..example() }.validate(), Err(SignatureError::BatchSize));
}

#[test]
fn sizes_round_up() {
    assert_eq!(normalize_shape([1000, 1000], 64), Ok([1024, 1024]));
    assert_eq!(normalize_shape([512, 768], 64), Ok([512, 768]));
    assert_eq!(normalize_shape([1, 513], 8), Ok([8, 520]));
    assert_ne!(normalize_shape([768, 768], 64), normalize_shape([1024, 1024], 64));
    assert_eq!(normalize_shape([0, 5], 64), Err(ShapeError::Zero { width_px: 0, height_px: 5 }));
    assert_eq!(normalize_shape([5, 5], 0), Err(ShapeError::Multiple(0)));
    assert_eq!(normalize_shape([5, 5], 12), Err(ShapeError::Multiple(12)));
    // The limit applies to the padded size, no matter which side is too long, or which multiple
    // makes it too long.
    assert_eq!(normalize_shape([65536, 8], 64), Ok([65536, 64]));
    assert_eq!(normalize_shape([512, 512], 65536), Ok([65536, 65536]));
    for (size, multiple) in [
        ([u64::MAX, 5], 64),
        ([8, 65537], 8),
        ([65535, 8], 65528),
        ([8, 8], 1 << 32),
        ([512, 512], u64::MAX - 7),
    ] {
        assert!(
            matches!(normalize_shape(size, multiple), Err(ShapeError::TooLarge { .. })),
            "{size:?} {multiple}"
        );
    }
    assert_eq!(latent_shape(2, [1024, 512]), [2, 4, 64, 128]);
}

#[test]
fn a_signature_keeps_its_digest_in_a_record() {
    // These numbers have seventeen digits; a careless JSON reader gets their last bit wrong.
    for part in 1..1000 {
        let signature = Signature { cfg_scale: f64::from(part) / 7.0, ..example() };
        let read: Signature =
            serde_json::from_slice(&serde_json::to_vec(&signature).unwrap()).unwrap();
        assert_eq!((read.digest(), read), (signature.digest(), signature));
    }
}
