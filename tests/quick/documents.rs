//! Do the documents name only things that exist? Every link, path and test program that they name
//! must exist. Links to other hosts are not followed, because no test may need a network. The tests
//! also find test files that belong to no test program, and comments of more than 100 columns.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// A file or folder of the repository.
fn at(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names in a folder of the repository, in order.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(at(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn has_extension(path: impl AsRef<Path>, extension: &str) -> bool {
    path.as_ref().extension().is_some_and(|found| found == extension)
}

/// The names in a folder that have this extension, in order.
fn names_with(folder: &str, extension: &str) -> Vec<String> {
    let mut names: Vec<String> = names(folder).into_iter().collect();
    names.retain(|name| has_extension(name, extension));
    names
}

/// The folders at the top of the repository, except `target` and `.git`.
fn folders() -> BTreeSet<String> {
    let mut folders = names("");
    folders.retain(|name| at(name).is_dir() && name != "target" && name != ".git");
    folders
}

/// Every Rust file of the repository.
fn sources() -> Vec<PathBuf> {
    let mut sources = vec![at("build.rs")];
    let mut folders: Vec<PathBuf> = folders().iter().map(at).collect();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if has_extension(&path, "rs") {
                sources.push(path);
            }
        }
    }
    sources
}

/// A document: its path from the top of the repository, and its text.
struct Document {
    path: String,
    text: String,
}

impl Document {
    fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(at(path));
        let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// Every document for people who use preheat or change it.
    fn all() -> Vec<Self> {
        let at_the_top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
        let pages = names_with("docs", "md").into_iter().map(|name| format!("docs/{name}"));
        let paths = at_the_top.into_iter().map(str::to_owned).chain(pages);
        paths.map(|path| Self::read(&path)).collect()
    }

    /// The text without blocks of code.
    fn prose(&self) -> String {
        let mut in_code = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            if !in_code && !fence {
                prose.push_str(line);
            }
            prose.push('\n');
        }
        prose
    }

    /// The targets of the links: `[text](target)`.
    fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let without_code_spans: String = prose.split('`').step_by(2).collect();
        let after = without_code_spans.split("](").skip(1);
        after.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
    }

    /// The anchors that links to this document can have. Code hosts make them from the headings.
    fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for heading in self.prose().lines().filter(|line| line.starts_with('#')) {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            // If an earlier heading has the same words, code hosts add a number to the anchor.
            let mut numbered = (1..).map(|number| format!("{anchor}-{number}"));
            if anchors.contains(&anchor) {
                anchors.insert(numbered.find(|other| !anchors.contains(other)).unwrap());
            } else {
                anchors.insert(anchor);
            }
        }
        anchors
    }

    /// The words that could be paths, without the full stop of a sentence.
    fn words(&self) -> impl Iterator<Item = &str> {
        let of_a_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        self.text.split(move |c| !of_a_path(c)).map(|word| word.trim_end_matches('.'))
    }
}

/// A path from the top of the repository without `.` and `..`.
fn plain(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                assert!(plain.pop(), "{} leads out of the repository", path.display());
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain.into_os_string().into_string().unwrap()
}

/// Asserts that there are no faults, and lists them otherwise.
#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    for document in Document::all() {
        let path = &document.path;
        for link in document.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let beside = Path::new(path).parent().unwrap().join(file);
            let target = if file.is_empty() { path.clone() } else { plain(&beside) };
            if !at(&target).exists() {
                faults.push(format!("{path} links to {link}, which is not there"));
            } else if !anchor.is_empty() && !Document::read(&target).anchors().contains(anchor) {
                faults.push(format!("{path} links to {link}, which has no such heading"));
            }
        }
    }
    assert_none(&faults);
}

/// A path that begins at the top of the repository must exist as it is written. Any other path that
/// ends with `.rs` must be the end of some file's path, because documents leave out the folder that
/// they describe.
#[test]
fn every_path_that_is_named_is_there() {
    let (folders, sources) = (folders(), sources());
    let mut faults = Vec::new();
    for document in Document::all() {
        for word in document.words().filter(|word| !word.contains("..")) {
            let first = word.split_once('/').map(|(first, _)| first);
            let from_the_top = first.is_some_and(|first| folders.contains(first));
            // docs.rs is a host, and `metadata.docs.rs` is a table of Cargo.toml.
            let is_a_source = has_extension(word, "rs") && !word.ends_with("docs.rs");
            let is_there = if from_the_top {
                at(word).exists()
            } else {
                !is_a_source || sources.iter().any(|path| path.ends_with(word))
            };
            if !is_there {
                faults.push(format!("{} names {word}, which is not there", document.path));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn every_test_program_that_is_named_is_there() {
    let mut faults = Vec::new();
    for document in Document::all() {
        for command in document.text.split("--test ").skip(1) {
            let end = command.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let program = &command[..end.unwrap_or(command.len())];
            let known = [format!("tests/{program}.rs"), format!("tests/{program}/main.rs")];
            if !known.iter().any(|file| at(file).is_file()) {
                faults.push(format!("{} names `--test {program}`", document.path));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = Document::read("docs/README.md").links();
    let mut missing = names_with("docs", "md");
    missing.retain(|page| page != "README.md" && !contents.contains(page));
    assert_none(&missing);
}

/// Nothing else would report a file that its program does not name: such a file is never compiled.
#[test]
fn no_file_of_tests_is_left_out() {
    let mut faults = Vec::new();
    for folder in names("tests").into_iter().map(|name| format!("tests/{name}")) {
        let program = format!("{folder}/main.rs");
        if !at(&program).is_file() {
            continue;
        }
        let program = Document::read(&program);
        for file in names_with(&folder, "rs").into_iter().filter(|file| file != "main.rs") {
            let declared = format!("mod {};", file.trim_end_matches(".rs"));
            if !program.text.lines().any(|line| line == declared) {
                faults.push(format!("{} has no `{declared}`", program.path));
            }
        }
    }
    assert_none(&faults);
}

/// rustfmt formats code up to this width and leaves comments alone. Tables, addresses and blocks of
/// code in a comment may be wider.
#[test]
fn no_comment_is_wider_than_code() {
    const COLUMNS: usize = 100;
    let mut faults = Vec::new();
    for path in sources() {
        let mut in_code = false;
        for (index, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let comment = line.trim_start();
            let text = comment.trim_start_matches(['/', '!']).trim_start();
            let fence = text.starts_with("```");
            in_code = comment.starts_with("//") && (in_code ^ fence);
            let stays_whole = in_code || text.starts_with('|') || text.contains("://");
            if comment.starts_with("//") && !stays_whole && line.chars().count() > COLUMNS {
                let place = format!("{}:{}", path.display(), index + 1);
                faults.push(format!("{place}: this comment is wider than {COLUMNS} columns"));
            }
        }
    }
    assert_none(&faults);
}
