use std::path::Path;

use super::*;

fn shape(size: [u64; 2], batch_size: u64, guided: bool) -> Shape {
    Shape {
        size,
        batch_size,
        guided,
        clip_skip: 0,
        negative_prompt: false,
        prompt_chunks: 1,
        image_to_image: false,
    }
}

#[test]
fn what_is_written_is_read_again() {
    let precisions = Precisions {
        all: Precision::Bf16,
        vae: Some(Precision::Fp32),
        autocast: false,
        ..Precisions::default()
    };
    let full = ManifestModel {
        folder: Some(PathBuf::from("models/a \"b\" \\ c\n")),
        variant: Some("fp16".to_owned()),
        targets: ["tpu:v5e:1x1", "tpu:v5e:2x2"].map(|target| target.parse().unwrap()).into(),
        sizes: vec![[512, 512], [768, 512]],
        batches: vec![1, 4],
        guided: vec![true, false],
        negative_prompt: vec![true, false],
        prompt_chunks: vec![1, 3],
        image_to_image: true,
        clip_skip: 1,
        precisions,
        compile_effort: Some("balanced".parse().unwrap()),
    };
    let least = ManifestModel { sizes: vec![[64, 64]], ..ManifestModel::default() };
    let manifest = Manifest { models: vec![full, least] };
    assert_eq!(parse::manifest(&manifest.to_string()).unwrap(), manifest, "{manifest}");
    assert_eq!(
        parse::manifest("[[model]]\nsizes = [\"64x64\"]").unwrap().models,
        manifest.models[1..]
    );
}

#[test]
fn tables_stand_for_exactly_the_shapes_they_were_made_from() {
    let shapes = [
        shape([512, 512], 1, true),
        shape([512, 512], 2, true),
        shape([768, 512], 2, true),
        shape([768, 512], 1, true),
        shape([768, 512], 1, false),
        shape([1024, 1024], 1, true),
        Shape { clip_skip: 2, ..shape([512, 512], 1, true) },
        Shape { clip_skip: 2, negative_prompt: true, ..shape([512, 512], 1, true) },
        Shape { prompt_chunks: 2, ..shape([512, 512], 1, true) },
        Shape { image_to_image: true, ..shape([512, 512], 1, true) },
    ];
    let manifest = Manifest::of_shapes(&ManifestModel::default(), &shapes);
    assert_eq!(manifest.models.len(), 7, "{manifest}");
    let requests = manifest.models.iter().flat_map(ManifestModel::requests);
    let mut listed: Vec<Shape> = requests
        .map(|request| Shape {
            clip_skip: request.clip_skip,
            negative_prompt: request.negative_prompt.is_some(),
            prompt_chunks: request.prompt_chunks.unwrap_or(1),
            image_to_image: request.image_to_image,
            ..shape(
                [request.width.unwrap(), request.height.unwrap()],
                request.batch_size,
                request.cfg_scale > 1.0,
            )
        })
        .collect();
    let mut wanted = shapes.to_vec();
    listed.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(listed, wanted);
}

#[test]
fn a_negative_prompt_is_a_kind_of_its_own_only_where_it_shapes_a_graph() {
    let both = vec![true, false];
    let table =
        ManifestModel { guided: both.clone(), negative_prompt: both, ..ManifestModel::default() };
    assert_eq!(table.kinds(), [(true, false), (false, false)]);
    let skipping = ManifestModel { clip_skip: 1, ..table };
    assert_eq!(skipping.kinds(), [(true, true), (true, false), (false, false)]);
}

#[test]
fn every_wrong_field_is_told_with_its_line_and_what_is_allowed() {
    let refused = |text: &str| {
        let wrong = parse::manifest(text).unwrap_err();
        (wrong.line, format!("{}: {}", wrong.field, wrong.why))
    };
    for (text, line, said) in [
        ("", 1, "model: there is none: a manifest has at least one [[model]]"),
        ("\n[[model]\n", 2, "syntax: this is not TOML: "),
        (
            "[[models]]\n",
            1,
            "models: there is no such field; a manifest is made of [[model]] tables",
        ),
        (
            "model = 3\n",
            1,
            "model: 3 is no list; a list in [ ] is allowed, of tables: write [[model]] above each",
        ),
        ("[[model]]\nfolder = \"x\"\n", 1, "sizes: it is missing"),
        (
            "[[model]]\nsizes = [\"64x64\"]\n\nsize = 1\n",
            4,
            "size: there is no such field; the fields are folder, variant, targets,",
        ),
        (
            "[[model]]\nsizes = \"64x64\"",
            2,
            "sizes: \"64x64\" is no list; a list in [ ] is allowed, of sizes, such as",
        ),
        (
            "[[model]]\nsizes = []",
            2,
            "sizes: the list is empty; sizes, such as \"512x768\", width first are allowed",
        ),
        (
            "[[model]]\nsizes = [\n\"64x64\",\n\"64by64\"]",
            4,
            "sizes: \"64by64\" is not allowed: give sizes, such",
        ),
        ("[[model]]\nsizes = [\"64x7\"]", 2, "sizes: \"64x7\" is not allowed"),
        ("[[model]]\nsizes = [\"64x64\", \"64\"]", 2, "sizes: \"64\" occurs twice"),
        (
            "[[model]]\nbatches = [1, 0]",
            2,
            "batches: 0 is not allowed: give numbers of pictures, from 1 to",
        ),
        ("[[model]]\nbatches = [-1]", 2, "batches: -1 is not allowed"),
        ("[[model]]\nbatches = [1.5]", 2, "batches: 1.5 is not allowed"),
        (
            "[[model]]\nguided = [\"yes\"]",
            2,
            "guided: \"yes\" is not allowed: give true, false or both",
        ),
        (
            "[[model]]\nsizes = [\"64x64\"]\nprompt_chunks = [1, 65]",
            3,
            "prompt_chunks: 65 is not allowed: give numbers of chunks of 75 tokens, from 1 to 64",
        ),
        (
            "[[model]]\nnegative_prompt = true",
            2,
            "negative_prompt: true is no list; a list in [ ] is allowed, of true, false",
        ),
        (
            "[[model]]\nclip_skip = -1",
            2,
            "clip_skip: -1 is not allowed: give a number of layers, 0 for none",
        ),
        ("[[model]]\nfolder = 1", 2, "folder: 1 is not allowed: give a model's folder"),
        ("[[model]]\nvariant = \"\"", 2, "variant: \"\" is not allowed: give a name"),
        (
            "[[model]]\ntargets = [1]",
            2,
            "targets: 1 is not allowed: give targets, such as \"tpu:v5e:1x1\"",
        ),
        (
            "[[model]]\ntargets = [\"v5e\"]",
            2,
            "targets: \"v5e\" is not allowed: give targets, such as",
        ),
        (
            "[[model]]\nprecision = \"int8\"",
            2,
            "precision: \"int8\" is not allowed: give \"auto\", \"bf16\",",
        ),
        ("[[model]]\nvae_precision = 16", 2, "vae_precision: 16 is not allowed"),
        ("[[model]]\nautocast = 1", 2, "autocast: 1 is not allowed: give true or false"),
        (
            "[[model]]\ncompile_effort = \"quick\"",
            2,
            "compile_effort: \"quick\" is not allowed: give \"fast\", \"balanced\", \"full\" or \"tiered\"",
        ),
        (
            "[[model]]\nsizes = [\"64x64\"]\nsizes = [\"64x64\"]",
            3,
            "syntax: this is not TOML: duplicate key",
        ),
    ] {
        let (at, why) = refused(text);
        assert!(at == line && why.starts_with(said), "{text:?}: line {at}, {why}");
    }
}

#[test]
fn the_committed_example_is_a_manifest() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/warm.toml");
    let manifest = Manifest::read(&path).unwrap();
    assert!(manifest.models.iter().any(|model| model.folder.is_none()), "one that anybody can run");
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.toml");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&large, format!("{whole}#{}", "x".repeat((1 << 20) - 1 - whole.len()))).unwrap();
    assert_eq!(Manifest::read(&large).unwrap(), manifest, "a mebibyte is read");
    std::fs::write(&large, format!("{whole}#{}", "x".repeat((1 << 20) - whole.len()))).unwrap();
    let refused = Manifest::read(&large).unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(why, "it is larger than 1 MiB, which no file of its kind is: is it the right file?");
    let missing = Manifest::read(Path::new("no-such.toml")).unwrap_err().to_string();
    assert_eq!(missing, "reading the manifest no-such.toml failed");
}
