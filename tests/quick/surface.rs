//! Which names does a program that links preheat see? `tests/quick/surface.txt` lists the names at
//! the crate's root; with `PREHEAT_BLESS=1` in the environment, that file is written instead of
//! compared. Each of the names has an example, and no two public types of the workspace share a
//! name.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many names the root may have. A name is at the root if programs have to write it. A type
/// that programs use without its name, as a field or a result, stays in the crate that defines it.
const MOST_NAMES: usize = 71;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every Rust file below a folder, in order, with its text.
fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    let (mut sources, mut folders) = (BTreeMap::new(), vec![at(folder)]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.insert(path, text);
            }
        }
    }
    sources
}

/// The names that a `use` brings in: `B` and `E` for `a::{B, c::D as E}`.
fn used(tree: &str) -> Vec<String> {
    let last_of = |name: &str| name.rsplit([':', ' ']).next().unwrap().to_owned();
    match tree.split_once('{') {
        None => vec![last_of(tree.trim())],
        Some((_, list)) => {
            let list = list.trim_end().strip_suffix('}').unwrap();
            assert!(!list.contains('{'), "a list inside a list is not read here: {tree}");
            list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(last_of).collect()
        }
    }
}

/// The feature that an attribute requires.
fn feature(attribute: &str) -> Option<&str> {
    attribute.strip_prefix("#[cfg(feature = \"")?.strip_suffix("\")]")
}

/// One line for each public name that the text of a crate's root declares or re-exports, with the
/// feature that the name needs.
fn names(root: &str) -> BTreeSet<String> {
    let code = root.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let (mut names, mut needs, mut open) = (BTreeSet::new(), None, String::new());
    for line in code {
        if let Some(feature) = feature(line) {
            needs = Some(feature.to_owned());
            continue;
        }
        open.push_str(line);
        if !line.ends_with(';') {
            continue;
        }
        let item = std::mem::take(&mut open);
        let needs = needs.take().map(|feature| format!(" (feature {feature})")).unwrap_or_default();
        let Some(public) = item.strip_prefix("pub ").map(|item| item.trim_end_matches(';')) else {
            continue;
        };
        if let Some(tree) = public.strip_prefix("use ") {
            names.extend(used(tree).into_iter().map(|name| format!("{name}{needs}")));
        } else {
            names.insert(format!("{public}{needs}"));
        }
    }
    names
}

fn names_at_the_root() -> BTreeSet<String> {
    names(&std::fs::read_to_string(at("src/lib.rs")).unwrap())
}

#[test]
fn the_root_has_the_names_of_the_list() {
    let names = names_at_the_root();
    let file = at("tests/quick/surface.txt");
    if std::env::var_os("PREHEAT_BLESS").is_some() {
        let lines: Vec<&str> = names.iter().map(String::as_str).collect();
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    let listed: BTreeSet<String> = kept.lines().map(str::to_owned).collect();
    let (new, gone): (Vec<_>, Vec<_>) =
        (names.difference(&listed).collect(), listed.difference(&names).collect());
    assert!(
        new.is_empty() && gone.is_empty(),
        "new at the root: {new:?}; no longer there: {gone:?}; PREHEAT_BLESS=1 writes the new list"
    );
    assert!(names.len() <= MOST_NAMES, "{} names are more than {MOST_NAMES}", names.len());
    let modules: Vec<_> = names.iter().filter(|name| name.starts_with("mod ")).collect();
    assert_eq!(modules, ["mod cli (feature cli)"], "the other modules are private");
    assert!(
        !names.iter().any(|name| name.contains('*')),
        "the root names each re-export, without `*`"
    );
}

#[test]
fn each_name_at_the_root_has_an_example() {
    let mut with_example = BTreeSet::new();
    for text in sources("src/surface").values() {
        let mut documented = false;
        for line in text.lines() {
            if let Some(tree) = line.strip_prefix("pub use ") {
                if documented {
                    with_example.extend(used(tree.trim_end_matches(';')));
                }
                documented = false;
            } else if line.starts_with("/// ```") {
                documented = true;
            }
        }
    }
    let names = names_at_the_root();
    let lacking: Vec<&str> = names
        .iter()
        .map(|name| name.split(" (").next().unwrap())
        .filter(|name| !name.starts_with("mod ") && !with_example.contains(*name))
        .collect();
    assert!(lacking.is_empty(), "without an example in src/surface: {lacking:?}");
}

#[test]
fn no_two_public_types_share_a_name() {
    let kinds = ["pub struct ", "pub enum ", "pub union ", "pub trait ", "pub type "];
    let mut places = BTreeMap::<String, Vec<PathBuf>>::new();
    for (path, text) in ["crates", "cache/src", "src"].into_iter().flat_map(sources) {
        for line in text.lines().map(str::trim_start) {
            let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else {
                continue;
            };
            let name: String = rest
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            // In a macro, the name of the type that it declares is `$name`.
            if !name.is_empty() {
                places.entry(name).or_default().push(path.clone());
            }
        }
    }
    assert!(places.len() > 300, "only {} public types were found", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "give each type a different name: {places:#?}");
}

#[test]
fn names_are_read_from_every_form_of_declaration() {
    let root = "
        //! pub use nothing;
        #[cfg(feature = \"cli\")]
        pub mod cli;
        mod inner;
        pub use inner::{One, two::Three as Four};
        #[cfg(feature = \"more\")]
        pub use inner::Five;
        pub use inner::*;
    ";
    let names: Vec<String> = names(root).into_iter().collect();
    assert_eq!(names, ["*", "Five (feature more)", "Four", "One", "mod cli (feature cli)"]);
}
