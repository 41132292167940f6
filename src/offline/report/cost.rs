//! The section that shows what answers cost: the time of a text, texts a second, cores.

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
    /// The time of one core that a text takes, in seconds; above 0.
    pub core_seconds: f64,
    /// Texts a second, as measured with all that the machine has.
    pub texts_a_second: Option<f64>,
    /// The time that 99% of the answers take at most, in milliseconds.
    pub p99: Option<f64>,
    /// Whether this is the one that is recommended.
    pub chosen: bool,
}

/// The section. `machine` says where it was measured: `2 cores of …, one text at a time`.
pub fn section(machine: &str, ways: &[Way]) -> Section {
    let measured = ways.iter().any(|way| way.texts_a_second.is_some());
    let has_p99 = ways.iter().any(|way| way.p99.is_some());
    let mut columns = vec!["", "a text, on one core", "texts a second and core"];
    if measured {
        columns.push("texts/s, measured");
    }
    if has_p99 {
        columns.push("p99");
    }
    columns.extend(["core time for a million texts", "cores for a million an hour"]);
    let mut table = Table::new("What answers cost", columns);
    for way in ways {
        let mut cells = vec![
            way.name.clone(),
            duration(way.core_seconds),
            rough(1.0 / way.core_seconds),
        ];
        if measured {
            cells.push(way.texts_a_second.map_or("–".to_owned(), rough));
        }
        if has_p99 {
            cells.push(way.p99.map_or("–".to_owned(), |p99| duration(p99 / 1e3)));
        }
        cells.push(duration(way.core_seconds * MANY));
        cells.push(rough(way.core_seconds * MANY / HOUR));
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
            core_seconds: 0.0036,
            ..Way::default()
        }];
        let section = section("one core", &ways);
        let Block::Table(table) = &section.blocks[1] else {
            panic!("a table: {section:?}");
        };
        assert_eq!(table.rows[0].cells, ["deep", "3.60 ms", "278", "60.0 min", "1.00"]);
    }
}
