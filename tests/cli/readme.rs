//! What the documentation names is there: commands, and the tests of its promises.

use std::path::{Path, PathBuf};

#[test]
fn every_command_in_the_documentation_parses() {
    let mut count = 0;
    for file in pages() {
        for line in shell_lines(&std::fs::read_to_string(&file).unwrap()) {
            for command in commands_in(&line) {
                count += 1;
                if let Err(refused) = parse(&command) {
                    panic!("{}: {command}\n{refused}", file.display());
                }
            }
        }
    }
    assert!(count > 20, "only {count} commands were found");
}

#[test]
fn every_command_stands_in_the_readme() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in vault::cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let mention = format!("`vault {}", command.get_name());
        assert!(readme.contains(&mention), "{mention}` is not in README.md");
    }
}

#[test]
fn every_test_that_the_documentation_names_is_there() {
    let mut sources = String::new();
    read_sources(&root().join("src"), &mut sources);
    read_sources(&root().join("tests"), &mut sources);

    let pages = [
        ("docs/threat-model.md", 60),
        ("docs/bad-inputs.md", 100),
        ("docs/oauth-conformance.md", 60),
        ("docs/reliability.md", 15),
    ];
    for (page, least) in pages {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let named: Vec<_> = test_names(&text).collect();
        assert!(named.len() > least, "only {} tests are named in {page}", named.len());
        for name in named {
            // Generated inputs come as arguments.
            assert!(sources.contains(&format!("fn {name}(")), "{page}: there is no test {name}");
        }
    }
}

#[test]
fn every_odd_input_has_its_test() {
    let page = std::fs::read_to_string(root().join("docs/bad-inputs.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let rows: Vec<_> = rows.filter(|row| !row.ends_with("| shown by |")).collect();

    assert!(rows.len() > 80, "only {} rows", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(test_names(cells[2]).next().is_some(), "no test: {row}");
    }
}

#[test]
fn a_line_is_taken_apart_as_a_shell_does() {
    let commands = |line| commands_in(line);

    assert_eq!(commands("$ vault token work | curl -K - x"), ["vault token work "]);
    assert_eq!(commands("eval \"$(vault env work)\""), ["vault env work"]);
    assert_eq!(commands("a && vault list > x; vault status # y"), ["vault list ", "vault status # y"]);
    assert_eq!(commands("vault exec work -- sh -c 'a | b'"), ["vault exec work -- sh -c 'a | b'"]);
    assert_eq!(commands("mv vault ovault"), Vec::<String>::new());
    assert!(parse("vault token --no-such-option").is_err());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    std::iter::once(root().join("README.md")).chain(docs.filter(is_page)).collect()
}

/// The names of tests among what stands between backticks.
fn test_names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').filter(|word| is_test_name(word))
}

fn is_test_name(word: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    word.matches('_').count() >= 3 && word.bytes().all(is_letter)
}

fn read_sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The lines of the blocks that are marked as `sh` or `console`; a line that ends with `\` goes on.
fn shell_lines(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in page.replace("\\\n", " ").lines() {
        match line.trim().strip_prefix("```") {
            Some(language) => inside = !inside && matches!(language, "sh" | "console"),
            None if inside => lines.push(line.trim().to_owned()),
            None => {}
        }
    }
    lines
}

/// The calls of `vault` in a line, each up to where the shell ends it.
fn commands_in(line: &str) -> Vec<String> {
    const BEFORE: [&str; 6] = ["", "$ ", "$(", "| ", "&& ", "; "];
    let starts = line.match_indices("vault ").map(|(at, _)| at);
    let is_call = |at: &usize| {
        let before = &line[..*at];
        BEFORE.iter().any(|end| if end.is_empty() { before.is_empty() } else { before.ends_with(end) })
    };
    starts.filter(is_call).map(|at| up_to_the_end(&line[at..]).to_owned()).collect()
}

fn up_to_the_end(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '|' | '&' | ';' | '>' | '<' | ')') => return &text[..at],
            (None, _) => {}
        }
    }
    text
}

fn parse(command: &str) -> Result<(), String> {
    let words = shlex::split(command).ok_or("the quotes do not match")?;
    match vault::cli::command().try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(answer) if !answer.use_stderr() => Ok(()),
        Err(refused) => Err(refused.to_string()),
    }
}
