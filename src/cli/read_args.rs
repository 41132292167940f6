//! Arguments of commands that read a file of texts.

use clap::ValueEnum;
use encoding_rs::Encoding;

use crate::offline::reader::{Format, Options, encoding};

/// How a file of texts is read, where it does not tell by itself.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReadArgs {
    /// How the texts are laid out [default: by the name's ending, else lines]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Reading")]
    pub input_format: Option<Format>,
    /// The column, or key, of the text [default: text, else document]
    #[arg(long, value_name = "NAME", help_heading = "Reading")]
    pub text_column: Option<String>,
    /// Whether fields stand in quotation marks, yes or no [default: yes for CSV; for TSV, whether the whole file looks so]
    #[arg(
        long,
        value_enum,
        value_name = "YES|NO",
        hide_possible_values = true,
        help_heading = "Reading"
    )]
    pub quoted: Option<Whether>,
    /// The encoding: cp949, utf-16le, shift_jis, windows-1252 and so on [default: the one that the file is surely in, else UTF-8]
    #[arg(long, value_name = "NAME", value_parser = encoding::named, help_heading = "Reading")]
    pub encoding: Option<&'static Encoding>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Whether {
    /// It is so.
    Yes,
    /// It is not so.
    No,
}

impl ReadArgs {
    /// The same for the reader.
    pub fn options(&self) -> Options {
        Options {
            format: self.input_format,
            quoted: self.quoted.map(|quoted| quoted == Whether::Yes),
            encoding: self.encoding,
        }
    }

    /// The same as flags, for a child process.
    pub fn arguments(&self) -> Vec<String> {
        let name = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        let format = self.input_format.and_then(|format| name(format.to_possible_value()));
        let quoted = self.quoted.and_then(|quoted| name(quoted.to_possible_value()));
        let encoding = self.encoding.map(|encoding| encoding.name().to_owned());
        [
            ("input-format", format),
            ("text-column", self.text_column.clone()),
            ("quoted", quoted),
            ("encoding", encoding),
        ]
        .into_iter()
        .filter_map(|(flag, value)| value.map(|value| format!("--{flag}={value}")))
        .collect()
    }
}
