//! Do files of a crate import each other in a circle? They do not, so that a reader of a file needs
//! none of the files that import it. In some crates, a module and its submodules are excepted.
//!
//! A name counts as imported from the file that defines it, even if another file re-exports it with
//! `pub use`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The crates without a circle of imports.
const WITHOUT_CIRCLES: &[&str] = &[
    "crates/diffusion",
    "crates/environment",
    "crates/io",
    "crates/plugins",
    "crates/source-digest",
    "crates/tensor",
    "crates/torch-abi",
    "plugin",
    ".",
];

/// The crates in which a module and its submodules may import each other, but no other files may.
const WITHIN_A_MODULE: &[&str] = &["cache", "crates/ir", "crates/pjrt", "crates/runtime", "python"];

/// The names of a module and of the modules around it, from the root of the crate.
type Module = Vec<String>;

/// The parts of a path, such as `super`, `error` and `PipelineError`.
type Names = Vec<String>;

/// What a file says about other modules.
#[derive(Default)]
struct File {
    imports: Vec<Names>,
    /// The names that the file re-exports, each with the path that it has inside the crate.
    faces: BTreeMap<String, Names>,
    /// Every path that is written in its code.
    written: Vec<Names>,
}

fn names(path: &str) -> Names {
    path.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The paths of a `use` tree: those of `a::{B, c::{D as E}}` are `a::B` and `a::c::D`.
fn paths(tree: &str, prefix: &[String]) -> Vec<Names> {
    let Some((head, list)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap();
        return vec![[prefix, &names(name)].concat()];
    };
    let prefix = [prefix, &names(head)].concat();
    let list = list.rsplit_once('}').unwrap().0;
    let (mut depth, mut start, mut all) = (0, 0, Vec::new());
    for (at, character) in list.char_indices().chain([(list.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let one = list[start..at].trim();
                start = (at + 1).min(list.len());
                if !one.is_empty() {
                    all.extend(paths(one, &prefix));
                }
            }
            _ => {}
        }
    }
    all
}

impl File {
    fn of(text: &str) -> Self {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
        let mut file = Self::default();
        for statement in code.join("\n").split(';') {
            let line_of_use = |line: &&str| {
                let line = line.trim_start();
                line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use "))
            };
            let lines: Vec<&str> = statement.lines().collect();
            let Some(at) = lines.iter().position(line_of_use) else {
                file.note_written(statement);
                continue;
            };
            file.note_written(&lines[..at].join("\n"));
            let statement = lines[at..].join("\n");
            let (before, tree) = statement.split_once("use ").unwrap();
            for mut path in paths(tree, &[]) {
                path.pop_if(|last| last == "self");
                match path.last().cloned() {
                    Some(name) if before.trim_start().starts_with("pub") => {
                        file.faces.insert(name, path);
                    }
                    _ => file.imports.push(path),
                }
            }
        }
        file
    }

    fn note_written(&mut self, code: &str) {
        let is_apart = |character: char| !(character.is_alphanumeric() || "_:".contains(character));
        let with_parts = code.split(is_apart).filter(|word| word.contains("::"));
        self.written.extend(with_parts.map(names));
    }
}

/// The files of a crate.
struct Files(BTreeMap<Module, File>);

impl Files {
    fn below(folder: &Path) -> Self {
        let (mut files, mut left) = (BTreeMap::new(), vec![(folder.to_owned(), Module::new())]);
        while let Some((folder, module)) = left.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let own = match name.as_str() {
                    "mod" | "lib" => module.clone(),
                    _ => [&module[..], &[name]].concat(),
                };
                if path.is_dir() {
                    left.push((path, own));
                } else if path.extension().is_some_and(|it| it == "rs")
                    && !path.ends_with("tests.rs")
                {
                    files.insert(own, File::of(&fs::read_to_string(path).unwrap()));
                }
            }
        }
        Self(files)
    }

    /// The file that defines what `path` names if it is written in `module`; `None` if another
    /// crate defines it.
    fn defined_in(&self, module: &[String], path: &[String], hops: usize) -> Option<Module> {
        let mut rest = path;
        let mut at = match path.first()?.as_str() {
            "crate" => Module::new(),
            "self" | "super" => module.to_vec(),
            child if self.0.contains_key(&[module, &[child.to_owned()]].concat()) => {
                module.to_vec()
            }
            _ => return None,
        };
        while let Some(word) =
            rest.first().filter(|it| ["crate", "self", "super"].contains(&it.as_str()))
        {
            if word == "super" {
                at.pop();
            }
            rest = &rest[1..];
        }
        while let Some(name) = rest.first() {
            let inner = [&at[..], std::slice::from_ref(name)].concat();
            if !self.0.contains_key(&inner) {
                break;
            }
            (at, rest) = (inner, &rest[1..]);
        }
        let face = rest.first().and_then(|name| self.0.get(&at)?.faces.get(name));
        let handed_on =
            face.filter(|_| hops > 0).and_then(|path| self.defined_in(&at, path, hops - 1));
        Some(handed_on.unwrap_or(at))
    }

    fn imports(&self, module: &Module) -> BTreeSet<Module> {
        let file = &self.0[module];
        let all = file.imports.iter().chain(&file.written);
        let defined = all.filter_map(|path| self.defined_in(module, path, 8));
        defined.filter(|other| other != module && self.0.contains_key(other)).collect()
    }

    /// The circles. The files of a circle import each other directly or through other files.
    fn circles(&self) -> BTreeSet<Vec<&Module>> {
        let direct: BTreeMap<&Module, BTreeSet<Module>> =
            self.0.keys().map(|module| (module, self.imports(module))).collect();
        let reached = |start: &Module| {
            let (mut seen, mut left) = (BTreeSet::new(), vec![start]);
            while let Some(module) = left.pop() {
                left.extend(direct[module].iter().filter(|next| seen.insert((*next).clone())));
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            self.0.keys().map(|module| (module, reached(module))).collect();
        let with = |one: &Module| {
            let both =
                |other: &&&Module| reached[**other].contains(one) && reached[one].contains(**other);
            reached.keys().filter(both).copied().collect::<Vec<_>>()
        };
        self.0.keys().map(with).filter(|circle| !circle.is_empty()).collect()
    }
}

/// Whether all files of a circle are one module and its submodules.
fn is_one_module(circle: &[&Module]) -> bool {
    circle.iter().any(|one| !one.is_empty() && circle.iter().all(|other| other.starts_with(one)))
}

fn files_of(folder: &str) -> Files {
    let files = Files::below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("src"));
    assert!(!files.0.is_empty(), "{folder} has files");
    files
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for folder in WITHOUT_CIRCLES {
        let files = files_of(folder);
        let circles = files.circles();
        assert!(circles.is_empty(), "{folder}: these import each other in circles: {circles:?}");
    }
    for folder in WITHIN_A_MODULE {
        let files = files_of(folder);
        let mut circles = files.circles();
        circles.retain(|circle| !is_one_module(circle));
        assert!(circles.is_empty(), "{folder}: these are not one module: {circles:?}");
    }
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let circles = |texts: &[(&str, &str)]| {
        let file = |(module, text): &(&str, &str)| (names(module), File::of(text));
        let files = Files(texts.iter().map(file).collect());
        let circles = files.circles().into_iter().flatten().map(|module| module.join("::"));
        circles.collect::<Vec<_>>()
    };
    let root = ("", "mod a;\nmod b;\npub use a::{A as B, C};\n");
    assert_eq!(circles(&[root, ("a", "use super::b::{X};"), ("b", "struct X;")]), [""; 0]);
    assert_eq!(
        circles(&[root, ("a", "use super::b::{self};"), ("b", "use crate::C;")]),
        ["a", "b"]
    );
    assert_eq!(
        circles(&[root, ("a", "fn f() { super::b::g() }"), ("b", "use crate::a::A;")]),
        ["a", "b"]
    );
    // A file that needs its own submodule, which in turn needs the file, is also in a circle.
    let parts = [("a", "mod c;\nuse c::C;\nstruct A;"), ("a::c", "use super::A;")];
    assert_eq!(circles(&[&[root][..], &parts].concat()), ["a", "a::c"]);
    let handed_on = [("a", "mod c;\npub use c::C;\nstruct A;"), ("a::c", "use super::A;")];
    assert_eq!(circles(&[&[root][..], &handed_on].concat()), [""; 0]);
    let tests = "struct X;\n#[cfg(test)]\nmod tests {\n    use super::super::a::A;\n}";
    assert_eq!(circles(&[root, ("a", "use super::b::X; // use"), ("b", tests)]), [""; 0]);
}
