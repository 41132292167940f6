//! Setting: what is declared about each one, and the macro that derives from the declarations in `settings.rs`
//! everything else: [`Options`](super::Options), [`Settings`](super::Settings), defaults, bounds, and the list from
//! which the help, the example file and the documentation are written.

use std::fmt::Display;

use clap::ValueEnum;
use clap::builder::ValueRange;
use serde::Serialize;
use toml::Value;

use super::duration::HumanDuration;
use super::profile::Profile;

/// The declaration of a setting whose values have the type `T`.
pub struct Facts<T> {
    value_name: &'static str,
    default: T,
    default_words: Option<&'static str>,
    hardened: Option<T>,
    sample: Option<&'static str>,
    link: Option<&'static str>,
    /// The allowed values, as the end of a sentence that begins "it must be".
    allowed: String,
    /// A value that is not allowed, as text; `None` for an allowed one.
    refused: Refused<T>,
}

type Refused<T> = Box<dyn Fn(&T) -> Option<String>>;

/// A setting with a default. `value_name` stands for its value in the help.
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

/// A setting that is absent by default.
pub fn absent<T>(value_name: &'static str) -> Facts<Option<T>> {
    value(value_name, None)
}

/// A setting with a few words as values.
pub fn choice<T: ValueEnum>(value_name: &'static str, default: T) -> Facts<T> {
    let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let words: Vec<String> = words.map(|word| format!("`{}`", word.get_name())).collect();
    let mut facts = value(value_name, default);
    facts.allowed = words.join(", ");
    facts
}

/// A setting that is off by default.
pub fn flag() -> Facts<bool> {
    value(FLAG, false)
}

/// A setting that is a number of things.
pub fn count<T>(default: T) -> Facts<T> {
    value("COUNT", default)
}

/// A setting that is a number of bytes.
pub fn bytes<T>(default: T) -> Facts<T> {
    value(BYTES, default)
}

/// A setting that is a duration; the default is in seconds.
pub fn seconds(default: u64) -> Facts<HumanDuration> {
    value("DURATION", HumanDuration::seconds(default))
}

/// What stands for the value of a flag in the help. The name of the setting alone turns it on.
const FLAG: &str = "BOOL";
/// What stands for a number of bytes in the help.
pub const BYTES: &str = "BYTES";

impl<T> Facts<T> {
    /// Text for the help and the documentation in place of the default's value.
    pub fn default_words(mut self, words: &'static str) -> Self {
        self.default_words = Some(words);
        self
    }

    /// The default in the profile `hardened`.
    pub fn hardened(mut self, default: T) -> Self {
        self.hardened = Some(default);
        self
    }

    /// A value for the example file, for a setting without a default.
    pub fn sample(mut self, sample: &'static str) -> Self {
        self.sample = Some(sample);
        self
    }

    /// A link to a heading of docs/configuration.md, or to another page there, that says more.
    pub fn link(mut self, link: &'static str) -> Self {
        self.link = Some(link);
        self
    }

    /// The default in this profile.
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

    /// Allows the values from `least` to `most`.
    pub fn from(self, least: T, most: T) -> Self {
        self.allow(format!("from {least} to {most}"), move |value| {
            (&least..=&most).contains(&value)
        })
    }

    /// Allows values up to `most`.
    pub fn at_most(self, most: T) -> Self {
        self.allow(format!("at most {most}"), move |value| *value <= most)
    }
}

impl Facts<HumanDuration> {
    /// Allows durations above 0, up to `most`.
    pub fn above_zero_to(self, most: HumanDuration) -> Self {
        self.allow(format!("above 0s and at most {most}"), move |value| {
            !value.0.is_zero() && *value <= most
        })
    }

    /// Allows 0, and the durations from `least` to `most`.
    pub fn zero_or_from(self, least: HumanDuration, most: HumanDuration) -> Self {
        self.allow(format!("0s, or from {least} to {most}"), move |value| {
            value.0.is_zero() || (least..=most).contains(value)
        })
    }
}

impl Facts<usize> {
    /// Allows the numbers from `least` to `most`, and 0, which means `meaning`.
    pub fn from_or_zero(self, least: usize, most: usize, meaning: &str) -> Self {
        self.allow(format!("from {least} to {most}, or 0 for {meaning}"), move |value| {
            *value == 0 || (least..=most).contains(value)
        })
    }
}

/// The declaration of a setting with values of any type.
pub struct Setting {
    /// Its key in `tandem.toml`.
    pub name: &'static str,
    /// Its environment variable.
    pub variable: String,
    /// Its heading in the help and in the example file.
    pub heading: &'static str,
    /// Its comment: the first paragraph says what it is, those after an empty line say more. Without a full stop at the
    /// end.
    text: &'static [&'static str],
    /// What stands for its value in the help.
    pub value_name: &'static str,
    /// Its default; absent if it has none.
    pub default: Option<Value>,
    /// Text in place of the default's value.
    pub default_words: Option<&'static str>,
    /// Its default in the profile `hardened`, where that differs.
    pub hardened: Option<Value>,
    /// The allowed values in words; empty if the type says enough.
    pub allowed: String,
    /// A value for the example file, in TOML.
    pub sample: Option<&'static str>,
    /// A link from docs/configuration.md to where more is said.
    pub link: Option<&'static str>,
}

impl Setting {
    /// Makes the declaration independent of the type of the values.
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
            // TOML has no value for an absent setting.
            default: Value::try_from(facts.default).ok(),
            default_words: facts.default_words,
            hardened: facts.hardened.and_then(|value| Value::try_from(value).ok()),
            allowed: facts.allowed,
            sample: facts.sample,
            link: facts.link,
        }
    }

    /// What it is, on one line.
    pub fn summary(&self) -> String {
        self.paragraphs().swap_remove(0)
    }

    /// Everything that its comment says, as sentences.
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

    /// How many values may follow its flag.
    pub fn values(&self) -> ValueRange {
        let least = usize::from(self.value_name != FLAG);
        (least..=1).into()
    }
}

/// Derives everything from declarations. A declaration is a setting's name, the type of its values (`or None` if it may
/// be absent), and its [`Facts`], below its heading. The first paragraph of its comment is its help.
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
            /// The execution providers of models by name; the others have those of their tier.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub execution_providers: BTreeMap<String, ProviderList>,
        }

        impl Settings {
            /// The defaults in this profile.
            pub fn of(profile: Profile) -> Self {
                Self {
                    $($($name: $facts.into_default(profile),)+)+
                    tasks: BTreeMap::new(),
                    execution_providers: BTreeMap::new(),
                }
            }

            /// Checks each value alone. The error names the setting and the limit.
            pub fn check_bounds(&self) -> Result<(), String> {
                $($($facts.check(stringify!($name), &self.$name)?;)+)+
                Ok(())
            }
        }

        /// Every setting that can be a flag, in the order of the declarations.
        pub static DECLARED: LazyLock<Vec<Setting>> = LazyLock::new(|| {
            vec![$($(Setting::new::<settings!(@type $type $($none)?)>(
                stringify!($name), $heading, &[$($text),+], $facts
            ),)+)+]
        });
    };
}

pub(super) use settings;
