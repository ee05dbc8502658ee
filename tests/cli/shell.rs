//! Can shells use what `preheat completions` prints, and are the pages of `preheat man` complete?

use std::process::Command;

use crate::support::Lab;

#[test]
fn bash_accepts_the_script_and_completes_commands_and_flags() {
    let lab = Lab::new();
    let script = lab.bare().words("completions bash").run().done().stdout;
    let file = lab.file("preheat.bash", script);
    let complete = |words: &str| {
        let count = words.split(' ').count() - 1;
        let line = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={count}; \
             _preheat preheat \"${{COMP_WORDS[{count}]}}\" \"${{COMP_WORDS[{count}-1]}}\"; \
             echo \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let ran = Command::new("bash").args(["-c", &line]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!(complete("preheat warm").trim(), "warmup");
    assert_eq!(complete("preheat cache ver").trim(), "verify");
    let flags = "--negative-prompt --negative-prompt-2";
    assert_eq!(complete("preheat run --neg").trim(), flags);
}

#[test]
fn every_shell_that_is_offered_gets_a_script_and_another_is_refused_with_those() {
    let lab = Lab::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = lab.bare().words("completions").arg(shell).run().done();
        assert!(ran.stdout.contains("preheat"), "{shell}");
    }
    lab.bare().words("completions tcsh").run().ended(2).says(&["bash, elvish, fish"]);
}

#[test]
fn every_command_has_a_page_and_the_pages_are_roff() {
    let lab = Lab::new();
    let main = lab.bare().words("man").run().done().stdout;
    assert!(main.contains(".TH preheat 1") && main.contains(".SH SUBCOMMANDS"), "{main}");
    let folder = lab.path("man");
    lab.bare().words("man --output").arg(&folder).run().done();
    for name in ["preheat", "preheat-run", "preheat-cache", "preheat-cache-list"] {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
    }
    // A page contains the text of the help.
    let run = std::fs::read_to_string(folder.join("preheat-run.1")).unwrap();
    assert!(run.contains("What the picture should not show"), "{run}");
    let file = lab.file("a-file", "");
    lab.bare().words("man --output").arg(file).run().ended(1).says(&["a-file"]);
}
