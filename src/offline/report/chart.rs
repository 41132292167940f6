//! What a chart holds: axes, layers of data, and words for those who can't see it. [`super::draw`] makes the picture.

use super::palette::Ink;
use crate::offline::evaluation::interval::Interval;

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The end of its name as a file: beside Markdown it is `<report>-<name>.svg`. Empty for the report's main chart,
    /// which is `<report>.svg`.
    pub name: &'static str,
    pub title: String,
    /// What can be seen in it, in words.
    pub description: String,
    pub x: Axis,
    pub y: Axis,
    /// What is drawn, the lowest first.
    pub layers: Vec<Layer>,
}

impl Chart {
    /// The name of its file beside a report whose name without the ending is `stem`.
    pub fn file_name(&self, stem: &str) -> String {
        match self.name {
            "" => format!("{stem}.svg"),
            name => format!("{stem}-{name}.svg"),
        }
    }
}

/// An axis. It reaches as far as the data do, and as far as `includes`.
#[derive(Clone, Debug)]
pub struct Axis {
    pub name: String,
    pub figures: Figures,
    /// Values that must be on it.
    pub includes: Vec<f64>,
    /// Values that it must not go beyond.
    pub bounds: [f64; 2],
    /// Whether equal ways on it stand for equal factors. For figures above 0.
    pub logarithmic: bool,
}

impl Axis {
    /// An axis of shares, 0 to 1, shown as percent.
    pub fn share(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            figures: Figures::Percent,
            includes: Vec::new(),
            bounds: [0.0, 1.0],
            logarithmic: false,
        }
    }

    /// An axis of plain numbers from 0 on.
    pub fn number(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            figures: Figures::Plain,
            includes: vec![0.0],
            bounds: [0.0, f64::INFINITY],
            logarithmic: false,
        }
    }

    /// The axis with values that must be on it.
    pub fn including(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        self.includes.extend(values);
        self
    }
}

/// How the figures at an axis are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figures {
    /// With commas, and as many digits after the point as they need.
    Plain,
    /// As percent.
    Percent,
}

/// Something that is drawn. Those with a name are in the legend, if there is more than one of them.
#[derive(Clone, Debug)]
pub enum Layer {
    /// The space between two lines: where the truth probably lies. Points are `[x, low, high]`.
    Band { ink: Ink, points: Vec<[f64; 3]> },
    /// A line through points.
    Line {
        name: String,
        ink: Ink,
        points: Vec<[f64; 2]>,
    },
    /// Points.
    Dots {
        name: String,
        ink: Ink,
        points: Vec<[f64; 2]>,
    },
    /// Bars from 0 up, as `[from, to, height]`.
    Bars {
        name: String,
        ink: Ink,
        bars: Vec<[f64; 3]>,
    },
    /// A level with its name on it, from the left to the right end.
    Level { name: String, ink: Ink, at: f64 },
    /// One point with its name beside it and its interval.
    Mark {
        name: String,
        ink: Ink,
        x: f64,
        y: Interval,
    },
}
