//! Which columns of a file make a dataset, and how their values are read.

use crate::offline::reader::Columns;

/// What becomes of rows without a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unlabelled {
    /// They are an error that names their lines.
    #[default]
    Refuse,
    /// They are left out.
    LeaveOut,
    /// They are kept, with [`super::Target::Unknown`].
    Keep,
}

/// Which columns of a file are read, and how. By default the text alone: all rows are without a label.
#[derive(Clone, Debug)]
pub struct DatasetColumns {
    /// The column of the text; if absent, `text` or else `document`.
    pub text: Option<String>,
    /// The column of the label, or labels.
    pub label: Option<String>,
    /// The column of the weight.
    pub weight: Option<String>,
    /// For some labels, each by its name, the column of its probability.
    pub soft: Vec<(String, String)>,
    /// The column of the probabilities of all labels, as JSON.
    pub probabilities: Option<String>,
    /// Whether a row may have several labels, or none.
    pub multi_label: bool,
    /// What stands between the labels of a row.
    pub label_separator: String,
    /// Whether spaces around labels are taken off.
    pub trim: bool,
    pub unlabelled: Unlabelled,
}

impl Default for DatasetColumns {
    fn default() -> Self {
        Self {
            text: None,
            label: None,
            weight: None,
            soft: Vec::new(),
            probabilities: None,
            multi_label: false,
            label_separator: DEFAULT_SEPARATOR.to_owned(),
            trim: false,
            unlabelled: Unlabelled::default(),
        }
    }
}

/// What stands between labels where nobody says otherwise. `tandem predict` writes it into CSV, as pandas and others do.
pub const DEFAULT_SEPARATOR: &str = "|";

/// Where the values of the further columns stand among those of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub label: Option<usize>,
    pub weight: Option<usize>,
    pub probabilities: Option<usize>,
    /// The first of the columns of probabilities; the others follow it.
    pub soft: usize,
}

impl DatasetColumns {
    /// Whether any column says what a row's label is.
    pub fn has_targets(&self) -> bool {
        self.label.is_some() || !self.soft.is_empty() || self.probabilities.is_some()
    }

    /// The columns to read, and where their values will stand.
    pub fn to_read(&self) -> (Columns, Places) {
        let named = [&self.label, &self.weight, &self.probabilities];
        let mut others: Vec<String> = named.into_iter().flatten().cloned().collect();
        let mut next = 0..;
        let [label, weight, probabilities] = named.map(|name| name.as_ref().and_then(|_| next.next()));
        let places = Places {
            label,
            weight,
            probabilities,
            soft: others.len(),
        };
        others.extend(self.soft.iter().map(|(_, column)| column.clone()));
        let columns = Columns {
            text: self.text.clone(),
            pair: None,
            others,
            keep: false,
        };
        (columns, places)
    }
}
