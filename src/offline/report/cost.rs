//! The section that shows what answers cost: the time of a text, texts a second, the slowest hundredth, cores.

use super::page::{Block, Section, Table};
use super::words::{number, rough};

/// How many seconds an hour has.
const HOUR: f64 = 3600.0;
/// The texts that cores are counted for.
const MANY: f64 = 1e6;

/// A way to answer, and what it costs.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// `fast alone`, `cascade`.
    pub name: String,
    /// The time of one core that a text takes, in seconds, if that is known.
    pub core_seconds: Option<f64>,
    /// Texts a second, as measured with all that the machine has.
    pub texts_a_second: Option<f64>,
    /// The time that 99% of the answers take at most, in seconds, one text asked about at a time.
    pub p99: Option<f64>,
    /// Whether this is the one that is recommended.
    pub chosen: bool,
}

/// The section. `machine` says where it was measured: `the 2 cores of this machine`. What nobody measured has no column.
pub fn section(machine: &str, ways: &[Way]) -> Section {
    let figures: [(&str, Figure); 4] = [
        ("a text, on one core", |way| way.core_seconds.map(duration)),
        ("texts a second", |way| way.texts_a_second.map(rough)),
        ("p99 of one text alone", |way| way.p99.map(duration)),
        ("cores for a million texts an hour", |way| {
            way.core_seconds.map(|seconds| rough(seconds * MANY / HOUR))
        }),
    ];
    let known = figures
        .into_iter()
        .filter(|(_, figure)| ways.iter().any(|way| figure(way).is_some()));
    let known: Vec<(&str, Figure)> = known.collect();
    let columns = std::iter::once("").chain(known.iter().map(|(name, _)| *name));
    let mut table = Table::new("What answers cost", columns);
    for way in ways {
        let figure = |(_, figure): &(&str, Figure)| figure(way).unwrap_or_else(|| "–".to_owned());
        let cells = std::iter::once(way.name.clone()).chain(known.iter().map(figure));
        if way.chosen {
            table.strong_row(cells);
        } else {
            table.row(cells);
        }
    }
    Section::new("What it costs")
        .text(format!(
            "Measured on {machine}. Other machines differ; the ways compare alike."
        ))
        .with(Block::Table(table))
}

/// A figure of a way, as it is shown.
type Figure = fn(&Way) -> Option<String>;

/// A time in the unit that suits it: from microseconds to hours.
fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return number(seconds, 0);
    }
    match seconds {
        few if few < 1e-3 => format!("{} µs", rough(few * 1e6)),
        few if few < 1.0 => format!("{} ms", rough(few * 1e3)),
        few if few < 120.0 => format!("{} s", rough(few)),
        some if some < 2.0 * HOUR => format!("{} min", rough(some / 60.0)),
        many => format!("{} h", rough(many / HOUR)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_cores_are_in_units_that_can_be_pictured() {
        assert_eq!(
            [4.8e-6, 0.001_435, 4.8, 1435.0, 14350.0].map(duration),
            ["4.80 µs", "1.44 ms", "4.80 s", "23.9 min", "3.99 h"]
        );
        let ways = [Way {
            name: "deep".to_owned(),
            core_seconds: Some(0.0036),
            p99: Some(0.0142),
            ..Way::default()
        }];
        let section = section("one core", &ways);
        let Block::Table(table) = &section.blocks[1] else {
            panic!("a table: {section:?}");
        };
        assert_eq!(table.rows[0].cells, ["deep", "3.60 ms", "14.2 ms", "1.00"]);
    }
}
