//! What is declared about one setting, and the macro that makes of the declarations in `settings.rs` everything that follows from
//! them: [`Options`](super::Options), [`Settings`](super::Settings), their defaults and bounds, and the list that the help, the
//! example file and the documentation are written from.

use std::fmt::Display;

use clap::ValueEnum;
use clap::builder::ValueRange;
use serde::Serialize;
use toml::Value;

use super::duration::HumanDuration;
use super::profile::Profile;

/// What is declared about a setting whose values are of type `T`.
pub struct Facts<T> {
    value_name: &'static str,
    default: T,
    default_words: Option<&'static str>,
    hardened: Option<T>,
    sample: Option<&'static str>,
    link: Option<&'static str>,
    /// The values that are allowed, as the rest of a sentence that begins "it must be".
    allowed: String,
    /// Writes a value that is not allowed; nothing for one that is.
    refused: Refused<T>,
}

type Refused<T> = Box<dyn Fn(&T) -> Option<String>>;

/// A setting by its default; help calls its value `value_name`.
pub fn value<T>(value_name: &'static str, default: T) -> Facts<T> {
    Facts {
        value_name,
        default,
        default_words: None,
        hardened: None,
        sample: None,
        link: None,
        allowed: String::new(),
        refused: Box::new(|_| None),
    }
}

/// A setting that is absent unless somebody gives it.
pub fn absent<T>(value_name: &'static str) -> Facts<Option<T>> {
    value(value_name, None)
}

/// One of a few words.
pub fn choice<T: ValueEnum>(value_name: &'static str, default: T) -> Facts<T> {
    let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let words: Vec<String> = words.map(|word| format!("`{}`", word.get_name())).collect();
    let mut facts = value(value_name, default);
    facts.allowed = words.join(", ");
    facts
}

/// Something that is off unless it is asked for.
pub fn flag() -> Facts<bool> {
    value(FLAG, false)
}

/// A number of things.
pub fn count<T>(default: T) -> Facts<T> {
    value("COUNT", default)
}

/// A number of bytes.
pub fn bytes<T>(default: T) -> Facts<T> {
    value(BYTES, default)
}

/// A duration.
pub fn seconds(default: u64) -> Facts<HumanDuration> {
    value("DURATION", HumanDuration::seconds(default))
}

/// The name of the values of what is on or off: on, if only the name of the setting is given.
const FLAG: &str = "BOOL";
/// The name of the values that are numbers of bytes.
pub const BYTES: &str = "BYTES";

impl<T> Facts<T> {
    /// What help and documentation say of the default, in place of its value.
    pub fn default_words(mut self, words: &'static str) -> Self {
        self.default_words = Some(words);
        self
    }

    /// The default of the profile hardened.
    pub fn hardened(mut self, default: T) -> Self {
        self.hardened = Some(default);
        self
    }

    /// A value for the example file, where there is no default.
    pub fn sample(mut self, sample: &'static str) -> Self {
        self.sample = Some(sample);
        self
    }

    /// The heading of docs/operations.md that tells more, as a link.
    pub fn link(mut self, link: &'static str) -> Self {
        self.link = Some(link);
        self
    }

    /// The default of a profile.
    pub fn into_default(self, profile: Profile) -> T {
        match (profile, self.hardened) {
            (Profile::Hardened, Some(hardened)) => hardened,
            _ => self.default,
        }
    }

    /// Checks that a value is allowed. The error names the setting, the value and the limit.
    pub fn check(&self, name: &str, value: &T) -> Result<(), String> {
        match (self.refused)(value) {
            None => Ok(()),
            Some(value) => Err(format!("{name} is {value}, it must be {}", self.allowed)),
        }
    }
}

impl<T: PartialOrd + Display + 'static> Facts<T> {
    fn allow(mut self, allowed: String, holds: impl Fn(&T) -> bool + 'static) -> Self {
        self.allowed = allowed;
        self.refused = Box::new(move |value| (!holds(value)).then(|| value.to_string()));
        self
    }

    /// Allows the values between two, themselves included.
    pub fn from(self, least: T, most: T) -> Self {
        self.allow(format!("from {least} to {most}"), move |value| {
            (&least..=&most).contains(&value)
        })
    }

    /// Allows values up to one, itself included.
    pub fn at_most(self, most: T) -> Self {
        self.allow(format!("at most {most}"), move |value| *value <= most)
    }
}

impl Facts<HumanDuration> {
    /// Allows durations up to one, itself included, but not 0.
    pub fn above_zero_to(self, most: HumanDuration) -> Self {
        self.allow(format!("above 0s and at most {most}"), move |value| {
            !value.0.is_zero() && *value <= most
        })
    }

    /// Allows 0, and the durations between two, themselves included.
    pub fn zero_or_from(self, least: HumanDuration, most: HumanDuration) -> Self {
        self.allow(format!("0s, or from {least} to {most}"), move |value| {
            value.0.is_zero() || (least..=most).contains(value)
        })
    }
}

impl Facts<usize> {
    /// Allows the numbers between two, themselves included, and 0, which stands for `meaning`.
    pub fn from_or_zero(self, least: usize, most: usize, meaning: &str) -> Self {
        self.allow(format!("from {least} to {most}, or 0 for {meaning}"), move |value| {
            *value == 0 || (least..=most).contains(value)
        })
    }
}

/// A setting, whatever the type of its values.
pub struct Setting {
    /// Its key in `tandem.toml`.
    pub name: &'static str,
    /// Its variable in the environment.
    pub variable: String,
    /// The part of the help and of the example file in which it stands.
    pub heading: &'static str,
    /// What it is, and after an empty line what else there is to know; both without a full stop.
    text: &'static [&'static str],
    /// What help calls its value.
    pub value_name: &'static str,
    /// Its default, unless it is absent.
    pub default: Option<Value>,
    /// What is said of its default, in place of the value.
    pub default_words: Option<&'static str>,
    /// Its default in the profile hardened, where that is another.
    pub hardened: Option<Value>,
    /// The values that are allowed, in words; empty if its type says it all.
    pub allowed: String,
    /// A value for the example file, in TOML.
    pub sample: Option<&'static str>,
    /// Where docs/operations.md tells more.
    pub link: Option<&'static str>,
}

impl Setting {
    /// Forgets the type of a setting's values.
    pub fn new<T: Serialize>(
        name: &'static str,
        heading: &'static str,
        text: &'static [&'static str],
        facts: Facts<T>,
    ) -> Self {
        Self {
            name,
            variable: format!("TANDEM_{}", name.to_ascii_uppercase()),
            heading,
            text,
            value_name: facts.value_name,
            // TOML has no value for what is absent.
            default: Value::try_from(facts.default).ok(),
            default_words: facts.default_words,
            hardened: facts.hardened.and_then(|value| Value::try_from(value).ok()),
            allowed: facts.allowed,
            sample: facts.sample,
            link: facts.link,
        }
    }

    /// What it is, in a line.
    pub fn summary(&self) -> String {
        self.paragraphs().swap_remove(0)
    }

    /// All that there is to know, in sentences.
    pub fn description(&self) -> String {
        let sentence = |text: &String| format!("{}.", text.trim_end_matches('.'));
        let sentences: Vec<String> = self.paragraphs().iter().map(sentence).collect();
        sentences.join(" ")
    }

    fn paragraphs(&self) -> Vec<String> {
        let lines = self.text.split(|line| line.trim().is_empty());
        lines
            .map(|lines| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// Its help: what it is, and its default.
    pub fn help(&self) -> String {
        let default = match (&self.default, self.default_words) {
            (_, Some(words)) => words.to_owned(),
            (None | Some(Value::Boolean(_)), None) => return self.summary(),
            (Some(Value::String(text)), None) => text.clone(),
            (Some(Value::Float(number)), None) => number.to_string(),
            (Some(value), None) => value.to_string(),
        };
        format!("{} [default: {default}]", self.summary())
    }

    /// How many values follow its flag.
    pub fn values(&self) -> ValueRange {
        let least = usize::from(self.value_name != FLAG);
        (least..=1).into()
    }
}

/// Makes of declarations everything that follows from them. A declaration is a setting's name, the type of its values (`or None` if it
/// may be absent), and its [`Facts`]; it stands under its heading. The first paragraph of its comment is its help.
macro_rules! settings {
    (@type $type:ident) => { $type };
    (@type $type:ident None) => { Option<$type> };
    ($($heading:literal {
        $($(#[doc = $text:literal])+ $name:ident: $type:ident $(or $none:ident)? = $facts:expr;)+
    })+) => {
        /// Settings that may be given as flags, in the environment, or in `tandem.toml` by the same name with `_` for `-`: the
        /// values as they were given, of which only the types are checked.
        #[derive(Clone, Debug, Default, clap::Args, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct Options {
            $($(
                #[arg(
                    long,
                    env = declared(stringify!($name)).variable.as_str(),
                    value_name = declared(stringify!($name)).value_name,
                    help_heading = $heading,
                    help = declared(stringify!($name)).help(),
                    num_args = declared(stringify!($name)).values(),
                    default_missing_value = "true"
                )]
                pub $name: Option<$type>,
            )+)+
        }

        /// The settings of a server. The keys of `tandem.toml` are the names of these fields.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Settings {
            $($(
                $(#[doc = $text])+
                pub $name: settings!(@type $type $($none)?),
            )+)+
            /// Tasks by name; those that are not listed follow from the models' manifests.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub tasks: BTreeMap<String, TaskSettings>,
        }

        impl Settings {
            /// The settings of a profile when nothing else is said.
            pub fn of(profile: Profile) -> Self {
                Self {
                    $($($name: $facts.into_default(profile),)+)+
                    tasks: BTreeMap::new(),
                }
            }

            /// Checks each value alone. The error names the key and the limit.
            pub fn check_bounds(&self) -> Result<(), String> {
                $($($facts.check(stringify!($name), &self.$name)?;)+)+
                Ok(())
            }
        }

        /// Every setting that may be a flag, in the order of the declarations.
        pub static DECLARED: LazyLock<Vec<Setting>> = LazyLock::new(|| {
            vec![$($(Setting::new::<settings!(@type $type $($none)?)>(
                stringify!($name), $heading, &[$($text),+], $facts
            ),)+)+]
        });
    };
}

pub(super) use settings;
