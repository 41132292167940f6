//! The example file and the documentation say of every setting what its declaration says. UPDATE_SNAPSHOTS=1 writes them anew.

use std::fs;

use tandem::config::setting::{BYTES, Setting};
use tandem::config::settings::DECLARED;
use tandem::config::{Options, Settings, resolve};
use toml::Value;

use crate::support::root;

/// The columns of a line of the example file.
const WIDTH: usize = 120;

/// The settings by their headings, in the order in which these come first.
fn by_heading() -> Vec<(&'static str, Vec<&'static Setting>)> {
    let mut parts: Vec<(&str, Vec<&Setting>)> = Vec::new();
    for setting in DECLARED.iter() {
        match parts.iter_mut().find(|(heading, _)| *heading == setting.heading) {
            Some((_, part)) => part.push(setting),
            None => parts.push((setting.heading, vec![setting])),
        }
    }
    parts
}

/// A text as comment lines.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines += &line;
            lines += "\n";
            line = "#".to_owned();
        }
        line += " ";
        line += word;
    }
    lines + &line + "\n"
}

/// The settings as they stand in the example file.
fn example() -> String {
    let mut text = String::new();
    for (heading, settings) in by_heading() {
        let rule = "-".repeat(WIDTH - "# ---  ".len() - heading.len());
        text += &format!("\n# --- {heading} {rule}\n");
        for setting in settings {
            let name = setting.name;
            text += &format!("\n{}", comment(&setting.description()));
            text += &match (&setting.default, setting.sample) {
                (Some(default), _) => format!("{name} = {default}\n"),
                (None, Some(sample)) => format!("# {name} = {}\n", Value::from(sample)),
                (None, None) => panic!("{name} has neither a default nor a sample"),
            };
        }
    }
    text + "\n"
}

/// A text whose numbers people can read: those of bytes in units of 1024, the others with commas.
fn readable(text: &str, value_name: &str) -> String {
    let number = |digits: &str| {
        let Ok(number) = digits.parse::<u64>() else {
            return digits.to_owned();
        };
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let unit = units.iter().find(|(bits, _)| number > 0 && number % (1 << bits) == 0);
        match unit {
            Some((bits, unit)) if value_name == BYTES => format!("{} {unit}", number >> bits),
            _ if number < 1000 => number.to_string(),
            _ if number < 1_000_000 => format!("{},{:03}", number / 1000, number % 1000),
            _ => format!(
                "{},{:03},{:03}",
                number / 1_000_000,
                number / 1000 % 1000,
                number % 1000
            ),
        }
    };
    let mut readable = String::new();
    for part in text.split_inclusive(|character: char| !character.is_ascii_digit()) {
        let digits = part.trim_end_matches(|character: char| !character.is_ascii_digit());
        readable += &number(digits);
        readable += &part[digits.len()..];
    }
    readable
}

/// A default, as it stands in a table.
fn in_table(default: &Value) -> String {
    match default {
        Value::String(text) => format!("`{text}`"),
        Value::Boolean(value) => format!("`{value}`"),
        other => other.to_string(),
    }
}

/// The table of all settings.
fn table() -> String {
    let mut table = "\n| key | default | allowed | what it is |\n| --- | --- | --- | --- |\n".to_owned();
    for setting in by_heading().into_iter().flat_map(|(_, part)| part) {
        let default = match (&setting.default, setting.default_words) {
            (_, Some(words)) => words.to_owned(),
            (Some(default), None) => in_table(default),
            (None, None) => "none".to_owned(),
        };
        let allowed = readable(&setting.allowed, setting.value_name);
        let link = setting
            .link
            .map(|link| format!(" ([more]({link}))"))
            .unwrap_or_default();
        let (name, description) = (setting.name, setting.description());
        table += &format!("| `{name}` | {default} | {allowed} | {description}{link} |\n");
    }
    table + "\n"
}

/// The table of what the profile hardened changes.
fn hardened() -> String {
    let mut table = "\n| key | standard | hardened |\n| --- | --- | --- |\n".to_owned();
    for setting in DECLARED.iter() {
        if let (Some(standard), Some(hardened)) = (&setting.default, &setting.hardened) {
            let (standard, hardened) = (in_table(standard), in_table(hardened));
            table += &format!("| `{}` | {standard} | {hardened} |\n", setting.name);
        }
    }
    table + "\n"
}

/// Checks that what stands in a file between the lines that hold `begin` and `end` is `text`, or puts it there.
pub fn keep(file: &str, begin: &str, end: &str, text: &str) {
    let path = root().join(file);
    let found = fs::read_to_string(&path).expect("text");
    let start = found.find(begin).expect("it begins") + begin.len();
    let start = start + found[start..].find('\n').expect("the line ends") + 1;
    let length = found[start..].find(end).expect("it ends");
    let length = found[start..start + length].rfind('\n').map_or(0, |at| at + 1);
    let kept = format!("{}{text}{}", &found[..start], &found[start + length..]);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, kept).expect("written");
    } else {
        assert!(
            kept == found,
            "{file} is not what is declared: run `make settings-docs`"
        );
    }
}

#[test]
fn the_example_file_and_the_tables_are_what_is_declared() {
    keep("tandem.example.toml", "# From here", "# To here", &example());
    let (configuration, security) = ("docs/configuration.md", "docs/security.md");
    keep(configuration, "<!-- settings, ", "<!-- end of settings -->", &table());
    keep(security, "<!-- hardened, ", "<!-- end of hardened -->", &hardened());
}

#[test]
fn the_example_file_holds_the_defaults_and_samples_that_are_allowed() {
    let committed = fs::read(root().join("tandem.example.toml")).expect("text");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tandem.toml");
    fs::write(&file, committed).expect("written");
    let settings = resolve(&Options::default(), Some(&file)).expect("the example can be used");
    assert_eq!(settings, Settings::default());
    // With what stands there in comments.
    let mut all = example();
    for setting in DECLARED.iter() {
        all = all.replace(&format!("\n# {} = ", setting.name), &format!("\n{} = ", setting.name));
    }
    // Some settings want another one beside them.
    all = all.replace("\nkeep_texts = 0\n", "\nkeep_texts = 3\n");
    fs::write(&file, &all).expect("written");
    resolve(&Options::default(), Some(&file)).expect("and all of it");
    let table: toml::Table = all.parse().expect("TOML");
    let names = DECLARED.iter().map(|setting| setting.name.to_owned());
    let missing: Vec<String> = names.filter(|name| !table.contains_key(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
