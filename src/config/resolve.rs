//! Resolving: from raw values to checked settings: flags over environment over the file over the defaults.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::given;
use super::profile::Profile;
use super::settings::{DECLARED, Options, Settings, TaskSettings};
use crate::model::providers::ProviderList;

/// The file that is read if none is named and it exists.
pub const DEFAULT_FILE: &str = "tandem.toml";

/// A configuration that can't be used: one line that names the file or the setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {problem}", file.display())]
    File {
        file: PathBuf,
        /// What is wrong, with the place in the file.
        problem: String,
    },
    /// A value is not allowed, wherever it came from.
    #[error("configuration: {0}")]
    Value(String),
}

/// Resolves every setting. A named `file` must exist; without a name, `tandem.toml` is read if it exists.
pub fn resolve(options: &Options, file: Option<&Path>) -> Result<Settings, ConfigError> {
    let named = file.map(Path::to_path_buf);
    let found = named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.is_file()));
    let mut given = match found {
        Some(file) => read(&file).map_err(|problem| ConfigError::File { file, problem })?,
        None => Table::new(),
    };
    given.extend(to_table(options));
    let profile = given.get("profile").cloned().map(Value::try_into).transpose();
    let profile: Option<Profile> =
        profile.map_err(|error: toml::de::Error| ConfigError::Value(error.message().to_owned()))?;
    let mut settled = to_table(&Settings {
        models: default_models(),
        ..Settings::of(profile.unwrap_or_default())
    });
    settled.extend(given);
    let settings: Settings = settled
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Value(error.message().to_owned()))?;
    settings.check().map_err(ConfigError::Value)?;
    Ok(settings)
}

/// The default repository: `models` in the current folder, or the folder of that name beside the program, as in a
/// distribution.
fn default_models() -> PathBuf {
    let here = Settings::default().models;
    if here.is_dir() {
        return here;
    }
    let program = std::env::current_exe().ok();
    let beside = program.and_then(|program| Some(program.parent()?.join(&here)));
    beside.filter(|folder| folder.is_dir()).unwrap_or(here)
}

fn read(file: &Path) -> Result<Table, String> {
    let text = String::from_utf8(given::read(file)?).map_err(|_| "is not UTF-8")?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| describe(&error, &text))?;
    check_keys(&table)?;
    // Parses the values here, where their lines are known.
    toml::from_str::<Options>(&text).map_err(|error| describe(&error, &text))?;
    Ok(table)
}

fn describe(error: &toml::de::Error, text: &str) -> String {
    let problem = error.message().replace('\n', " ");
    let Some(span) = error.span() else { return problem };
    let before = &text[..text.floor_char_boundary(span.start.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    // Names the setting whose value is at fault.
    let start = before.rsplit('\n').next().unwrap_or_default();
    match start.split_once('=').map(|(key, _)| key.trim()) {
        Some(key) => format!("line {line}: {key}: {problem}"),
        None => format!("line {line}: {problem}"),
    }
}

fn check_keys(table: &Table) -> Result<(), String> {
    let declared = DECLARED.iter().map(|setting| setting.name);
    let known: Vec<&str> = declared.chain(["tasks", "execution_providers"]).collect();
    check_known("", table, &known)?;
    check_providers(table)?;
    let Some(tasks) = table.get("tasks") else { return Ok(()) };
    let tasks = tasks
        .as_table()
        .ok_or("tasks must be a table of tasks, [tasks.<name>]")?;
    let known = [
        "fast",
        "deep",
        "default_route",
        "allow_fallback",
        "truncation",
        "windows",
        "cascade",
        "abstain",
    ];
    let parts: [(&str, &[&str]); 3] = [
        ("windows", &["width", "stride", "pooling", "min_confidence"]),
        ("cascade", &["calibration", "min_confidence", "gears", "audit_share"]),
        ("abstain", &["min_confidence", "min_precision"]),
    ];
    for (name, task) in tasks {
        let prefix = format!("tasks.{name}");
        let task = task.as_table().ok_or_else(|| format!("{prefix} must be a table"))?;
        check_known(&format!("{prefix}."), task, &known)?;
        for (part, known) in parts {
            if let Some(table) = task.get(part).and_then(Value::as_table) {
                check_known(&format!("{prefix}.{part}."), table, known)?;
            }
        }
        let parsed: Result<TaskSettings, _> = Value::Table(task.clone()).try_into();
        parsed.map_err(|error| format!("{prefix}: {}", error.message().replace('\n', " ")))?;
    }
    Ok(())
}

/// Checks the execution providers of models by name. The error names the model.
fn check_providers(table: &Table) -> Result<(), String> {
    let Some(models) = table.get("execution_providers") else {
        return Ok(());
    };
    let models = models.as_table().ok_or(
        "execution_providers must be a table with a list for each model; fast_execution_providers is for all of a tier",
    )?;
    for (name, list) in models {
        let parsed: Result<ProviderList, _> = list.clone().try_into();
        parsed.map_err(|error| format!("execution_providers.{name}: {}", error.message().replace('\n', " ")))?;
    }
    Ok(())
}

fn check_known(prefix: &str, table: &Table, known: &[&str]) -> Result<(), String> {
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        let nearest = known
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)))
            .expect("every table has known keys");
        return Err(format!(
            "unknown key `{prefix}{key}`; the nearest known one is `{prefix}{nearest}`"
        ));
    }
    Ok(())
}

fn to_table<T: serde::Serialize>(value: &T) -> Table {
    Table::try_from(value).expect("settings are plain values with names")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pooling::Pooling;

    fn resolve_file(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("tandem.toml");
        std::fs::write(&file, text).expect("write");
        resolve(&Options::default(), Some(&file))
            .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), ""))
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("tandem.toml");
        std::fs::write(&file, "max_texts = 7\nmax_text_bytes = 99\ndefault_timeout = \"3s\"").expect("write");
        let options = Options {
            max_texts: Some(8),
            ..Options::default()
        };
        let settings = resolve(&options, Some(&file)).expect("valid");
        assert_eq!(
            (settings.max_texts, settings.max_text_bytes, settings.max_queue_texts),
            (8, 99, 1024)
        );
        assert_eq!(settings.default_timeout.to_string(), "3s");
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let error = resolve_file("grcp_addr = \"127.0.0.1:1\"").expect_err("unknown key");
        assert_eq!(
            error,
            "/tandem.toml: unknown key `grcp_addr`; the nearest known one is `grpc_addr`"
        );
        let error = resolve_file("[tasks.sentiment]\nfats = \"a\"").expect_err("unknown key");
        assert!(
            error.ends_with("unknown key `tasks.sentiment.fats`; the nearest known one is `tasks.sentiment.fast`"),
            "{error}"
        );
    }

    #[test]
    fn a_task_says_how_windows_are_read_within_bounds() {
        let file = "[tasks.a]\ntruncation = \"windows\"\n[tasks.a.windows]\nwidth = 64\nstride = 0.5\npooling = \"first-confident\"";
        let task = &resolve_file(file).expect("valid").tasks["a"];
        assert_eq!((task.windows.width, task.windows.stride), (Some(64), 0.5));
        assert_eq!(task.windows.pooling, Some(Pooling::FirstConfident));
        for (key, value, problem) in [
            ("width", "15", "tasks.a.windows.width is 15, it must be from 16 to 8192"),
            (
                "width",
                "8193",
                "tasks.a.windows.width is 8193, it must be from 16 to 8192",
            ),
            (
                "stride",
                "0.05",
                "tasks.a.windows.stride is 0.05, it must be from 0.1 to 1",
            ),
            (
                "stride",
                "nan",
                "tasks.a.windows.stride is NaN, it must be from 0.1 to 1",
            ),
            (
                "min_confidence",
                "1.5",
                "tasks.a.windows.min_confidence is 1.5, it must be from 0 to 1",
            ),
            ("pooling", "\"least\"", "unknown variant `least`"),
            (
                "strides",
                "1.0",
                "unknown key `tasks.a.windows.strides`; the nearest known one is `tasks.a.windows.stride`",
            ),
        ] {
            let error = resolve_file(&format!("[tasks.a.windows]\n{key} = {value}")).expect_err(value);
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_wrong_type_names_the_line() {
        let error = resolve_file("\nmax_texts = \"many\"").expect_err("wrong type");
        assert!(
            error.starts_with("/tandem.toml: line 2: max_texts: invalid type: string"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_address_names_its_setting() {
        let error = resolve_file("max_texts = 1\nhttp_addr = \"5000\"").expect_err("no address");
        assert!(
            error.starts_with("/tandem.toml: line 2: http_addr: `5000` is no address: write host:port"),
            "{error}"
        );
    }

    #[test]
    fn values_that_do_not_fit_are_refused_by_key_and_limit() {
        for (text, expected) in [
            ("max_texts = 0", "max_texts is 0, it must be from 1 to 10000"),
            (
                "max_queue_texts = 127",
                "max_queue_texts is 127, it must be at least max_texts (128)",
            ),
            (
                "default_timeout = \"2m\"",
                "default_timeout is 2m, it must be at most max_timeout (1m)",
            ),
            ("default_timeout = \"0s\"", "default_timeout is 0s"),
            ("max_tokens = 2", "max_tokens is 2, it must be from 3 to 8192, or 0"),
            ("max_tokens = 8193", "max_tokens is 8193, it must be from 3 to 8192"),
        ] {
            let error = resolve_file(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_profile_gives_what_nobody_said_and_takes_nothing_back() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("tandem.toml");
        std::fs::write(&file, "profile = \"hardened\"\nheader_timeout = \"9s\"").expect("write");
        let options = Options {
            no_reflection: Some(false),
            ..Options::default()
        };
        let settings = resolve(&options, Some(&file)).expect("valid");
        assert_eq!(settings.max_streams_per_connection, 64);
        assert_eq!(settings.header_timeout.to_string(), "9s");
        assert!(!settings.no_reflection);
    }

    #[test]
    fn every_setting_is_an_option_too() {
        let options: Vec<String> = Settings::default_keys();
        let table = to_table(&Settings::default());
        for key in table.keys() {
            assert!(options.contains(key), "{key} has no flag");
        }
    }

    impl Settings {
        fn default_keys() -> Vec<String> {
            use clap::Args;
            let command = Options::augment_args(clap::Command::new("tandem"));
            command
                .get_arguments()
                .map(|argument| argument.get_id().to_string())
                .collect()
        }
    }
}
