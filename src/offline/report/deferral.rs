//! The section that shows by what texts are better given to the deep model: confidence, or a forecast of the gain.

use super::chart::{Axis, Chart, Layer};
use super::page::{Block, Section, Table};
use super::palette::Ink;
use super::words::{number, percent};
use crate::offline::calibration::deferral::{Budget, Compared};

/// The section.
pub fn section(compared: &Compared) -> Section {
    let columns = [
        "deep model's cost",
        "more right by confidence",
        "more right by the forecast",
    ];
    let mut table = Table::new("Confidence and the forecast in figures", columns);
    for budget in &compared.budgets {
        table.row([
            number(budget.cost, 2),
            percent(budget.by_confidence, 2),
            percent(budget.by_gain, 2),
        ]);
    }
    Section::new("By what texts are escalated")
        .text(compared.to_string())
        .with(Block::Chart(chart(&compared.budgets)))
        .with(Block::Table(table))
}

fn chart(budgets: &[Budget]) -> Chart {
    let line = |name: &str, ink: Ink, of: fn(&Budget) -> f64| Layer::Line {
        name: name.to_owned(),
        ink,
        points: budgets.iter().map(|budget| [budget.cost, of(budget)]).collect(),
    };
    Chart {
        name: "deferral",
        title: "Right answers gained over cost".to_owned(),
        description:
            "How much the share of right answers rises above the fast model's, by what the deep model may cost."
                .to_owned(),
        x: Axis::number("cost of the deep model (for every text: 1)"),
        y: Axis::number("rise of the share of right answers"),
        layers: vec![
            line("by confidence", Ink::Other, |budget| budget.by_confidence),
            line("by the forecast", Ink::Main, |budget| budget.by_gain),
        ],
    }
}
