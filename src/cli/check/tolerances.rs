//! `tandem check --provider LIST --write-tolerances`: how far a model's answers are from its golden examples on other hardware,
//! written into its manifest.

use std::path::Path;

use crate::model::files;
use crate::model::loading::golden::Report;
use crate::model::manifest::{Golden, MANIFEST_FILE, Manifest, Tolerances};

/// By how much a tolerance is larger than what was measured: other texts, and other runs, differ a little more.
const MARGIN: f32 = 1.5;
/// The least tolerance: the last digits of a number in 32 bits differ anywhere.
const LEAST: f32 = 1e-4;

/// The tolerances that follow from what was measured.
pub fn of(measured: Report) -> Tolerances {
    let alone = rounded_up(measured.largest_difference);
    Tolerances {
        logit_tolerance: alone,
        // With little effort an example may have run in one way alone.
        batched_logit_tolerance: rounded_up(measured.largest_batched_difference).max(alone),
    }
}

/// With the margin, and of two digits.
fn rounded_up(measured: f32) -> f32 {
    let wanted = f64::from(measured * MARGIN).max(f64::from(LEAST));
    let digit = 10_f64.powf(wanted.log10().floor() - 1.0);
    // Written and read again: a number of two digits, not the nearest one of 32 bits.
    let rounded = (wanted / digit - 1e-6).ceil() * digit;
    format!("{rounded:.6}").parse().unwrap_or(measured * MARGIN)
}

/// Whether what was measured is within what the manifest allows on these providers.
pub fn are_kept(golden: &Golden, measured: Report) -> bool {
    measured.largest_difference <= golden.logit_tolerance
        && measured.largest_batched_difference <= golden.batched_logit_tolerance
}

/// Writes the tolerances of a provider into a manifest, in the place of those that it had. The error is one line.
pub fn write(folder: &Path, provider: &str, tolerances: Tolerances) -> Result<(), String> {
    let path = folder.join(MANIFEST_FILE);
    let fail = |problem: String| format!("{}: {problem}", path.display());
    let text = files::read_text(&path, files::MOST_OF_TOML).map_err(fail)?;
    let changed = changed(&text, provider, tolerances).map_err(fail)?;
    let told = |error: std::io::Error| fail(error.to_string());
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(told)?;
    std::io::Write::write_all(&mut beside, changed.as_bytes()).map_err(told)?;
    let permissions = std::fs::metadata(&path).map_err(told)?.permissions();
    beside.as_file().set_permissions(permissions).map_err(told)?;
    beside.as_file().sync_all().map_err(told)?;
    beside.persist(&path).map_err(|error| told(error.error))?;
    Ok(())
}

/// The manifest with these tolerances; everything else stays as somebody wrote it.
fn changed(text: &str, provider: &str, tolerances: Tolerances) -> Result<String, String> {
    let heading = format!("[golden.providers.{provider}]");
    let mut kept: Vec<&str> = Vec::new();
    let mut in_it = false;
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            in_it = line.trim() == heading;
        }
        if !in_it {
            kept.push(line);
        }
    }
    let numbers = toml::to_string(&tolerances).map_err(|error| error.to_string())?;
    let changed = format!("{}\n\n{heading}\n{numbers}", kept.join("\n").trim_end());
    let read = Manifest::parse(&changed);
    let is_there = read.as_ref().is_ok_and(|manifest| {
        let golden = manifest.golden.as_ref();
        golden.and_then(|golden| golden.providers.get(provider)) == Some(&tolerances)
    });
    if is_there {
        return Ok(changed);
    }
    Err(format!(
        "its golden examples are not in a table of their own, [golden]: add {heading} by hand, with {}",
        numbers.trim().replace('\n', ", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_has_a_margin_and_two_digits() {
        for (measured, expected) in [(0.3066, 0.46), (0.0, 1e-4), (2e-7, 1e-4), (0.01, 0.015), (12.3, 19.0)] {
            assert!(
                (rounded_up(measured) - expected).abs() < 1e-6,
                "{measured}: {}",
                rounded_up(measured)
            );
        }
        let report = Report {
            examples: 3,
            largest_difference: 0.2,
            largest_batched_difference: 0.0,
        };
        assert_eq!(of(report).batched_logit_tolerance, of(report).logit_tolerance);
    }

    #[test]
    fn what_was_there_is_replaced_and_the_rest_stays() {
        let manifest = include_str!("../../../models/sentiment-deep/1/manifest.toml");
        let (first, second) = (of(measured(0.1)), of(measured(0.4)));
        let once = changed(manifest, "openvino", first).expect("legal");
        assert!(once.starts_with(manifest.trim_end()));
        let other = changed(&once, "cuda", first).expect("legal");
        let twice = changed(&other, "openvino", second).expect("legal");
        let golden = Manifest::parse(&twice).expect("legal").golden.expect("examples");
        assert_eq!(
            (golden.providers["openvino"], golden.providers["cuda"]),
            (second, first)
        );
        assert_eq!(twice.matches("openvino").count(), 1, "{twice}");
    }

    fn measured(difference: f32) -> Report {
        Report {
            examples: 1,
            largest_difference: difference,
            largest_batched_difference: difference,
        }
    }
}
