//! The fields of a row, taken from the record or the JSON object that it is in the file.

use serde_json::{Map, Value};

use super::lines::TEXT_BOUND;
use super::separated::{Header, listed};

/// The columns and keys that hold the text where nobody names one: the first of these that is there.
const USUAL: [&str; 2] = ["text", "document"];

/// The columns, or keys, to read. A file of lines has none.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// The column of the text; if absent, `text` or else `document`.
    pub text: Option<String>,
    /// The column of the second text of a pair.
    pub pair: Option<String>,
    /// Further columns, such as those of labels and weights.
    pub others: Vec<String>,
    /// Whether all that the file has for a row is given beside its fields.
    pub keep: bool,
}

/// All that a file has for a row, for those who write it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The cells of a record, in the order of the columns; of a file of lines, the line.
    Cells(Vec<String>),
    /// A JSON object: as it stands in the file, and what it is.
    Object(String, Map<String, Value>),
}

impl Kept {
    /// Its size in bytes, roughly.
    pub fn size(&self) -> usize {
        match self {
            Self::Cells(cells) => cells.iter().map(String::len).sum(),
            // The text, and the same again as values.
            Self::Object(text, _) => 2 * text.len(),
        }
    }
}

/// The fields of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub text: String,
    /// The second text of a pair, if a column was named for it.
    pub pair: Option<String>,
    /// The values of the further columns, in the order in which they were named: text in TSV and CSV, and null where a
    /// JSON object lacks the key.
    pub others: Vec<Value>,
}

impl Fields {
    /// The size of its texts in bytes.
    pub fn size(&self) -> usize {
        self.text.len() + self.pair.as_ref().map_or(0, String::len)
    }
}

/// The indices of the columns to read.
pub struct Places {
    pub text: usize,
    pub pair: Option<usize>,
    pub others: Vec<usize>,
}

/// Refuses a row with a text that is over the bound.
pub fn bounded(fields: Fields) -> Result<Fields, String> {
    let longest = fields.text.len().max(fields.pair.as_ref().map_or(0, String::len));
    if longest > TEXT_BOUND {
        return Err(format!("the text has {longest} bytes, more than {TEXT_BOUND}"));
    }
    Ok(fields)
}

/// Where the columns are in a header. The error names those that are there.
pub fn places(header: &Header, columns: &Columns) -> Result<Places, String> {
    let text = match &columns.text {
        Some(name) => header.place(name)?,
        None => USUAL.iter().find_map(|name| header.find(name)).ok_or_else(|| {
            let found = header.names();
            format!("there is no column `text` or `document`; there are: {found}; name one with --text-column")
        })?,
    };
    let named = |name: &Option<String>| name.as_deref().map(|name| header.place(name)).transpose();
    Ok(Places {
        text,
        pair: named(&columns.pair)?,
        others: columns
            .others
            .iter()
            .map(|name| header.place(name))
            .collect::<Result<_, _>>()?,
    })
}

/// The fields of a record of TSV or CSV.
pub fn of_record(fields: &csv::StringRecord, places: &Places) -> Fields {
    let field = |at: usize| fields.get(at).unwrap_or_default().to_owned();
    Fields {
        text: field(places.text),
        pair: places.pair.map(field),
        others: places.others.iter().map(|&at| Value::String(field(at))).collect(),
    }
}

/// The fields of a JSON object, and all of it if it is to be kept. Keeps the names of its keys in `names`, if that is
/// empty. The error says what is wrong.
pub fn of_object(line: String, columns: &Columns, names: &mut String) -> (Result<Fields, String>, Option<Kept>) {
    // The message names the place in the line, and always says line 1.
    let told = |error: serde_json::Error| error.to_string().replace(" at line 1 column ", " at byte ");
    let object: Map<String, Value> = match serde_json::from_str(&line) {
        Ok(object) => object,
        Err(error) => return (Err(told(error)), None),
    };
    if names.is_empty() {
        *names = listed(object.keys().map(String::as_str));
    }
    let fields = of_values(&object, columns, "key");
    (fields, columns.keep.then_some(Kept::Object(line, object)))
}

/// The fields of a row of named values. `what` says in messages what a name is the name of. The error says what is wrong.
pub fn of_values(object: &Map<String, Value>, columns: &Columns, what: &str) -> Result<Fields, String> {
    let string = |name: &str| match object.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("`{name}` is not a string")),
        None => Err(format!("there is no {what} `{name}`")),
    };
    let text = match &columns.text {
        Some(name) => string(name)?,
        None => match USUAL.iter().find(|name| object.contains_key(**name)) {
            Some(name) => string(name)?,
            None => {
                return Err(format!(
                    "there is no {what} `text` or `document`; name one with --text-column"
                ));
            }
        },
    };
    let pair = columns.pair.as_deref().map(string).transpose()?;
    let other = |name: &String| object.get(name).cloned().unwrap_or_default();
    Ok(Fields {
        text,
        pair,
        others: columns.others.iter().map(other).collect(),
    })
}
