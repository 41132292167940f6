//! The report of a command: one HTML file that needs nothing else, and the same as Markdown.
//!
//! In reading order: [`page`] (what a report holds, without any looks) and [`chart`] (what a chart holds) → the builders
//! of sections, one file each: [`quality_curve`], [`reliability`], [`classes`], [`confusion`], [`data_card`],
//! [`learning_curve`], [`cost`], [`ngrams`], [`disagreements`], [`origin`] → [`html`] and [`markdown`], for which
//! [`draw`] makes the charts ([`scale`]: how far an axis reaches, [`places`]: where names go, [`palette`]: colours) and
//! [`words`] the figures and names → [`files`].
//!
//! Nothing here measures: builders take plain figures. The same page gives the same bytes. Names of classes and texts
//! come from outside; they are escaped and cut in one place each.

pub mod answered;
pub mod chart;
pub mod classes;
pub mod confusion;
pub mod cost;
pub mod data_card;
pub mod deferral;
pub mod disagreements;
pub mod draw;
pub mod files;
pub mod html;
pub mod learning_curve;
pub mod markdown;
pub mod ngrams;
pub mod origin;
pub mod page;
pub mod palette;
pub mod places;
pub mod quality_curve;
pub mod reliability;
pub mod scale;
pub mod words;

#[cfg(test)]
mod tests;
