//! Models of a command that reads them in this process: where the settings name an address, they are fetched first.

use std::path::Path;

use super::exit::Exit;
use super::outcome::{Outcome, failure};
use crate::config::Settings;
use crate::model::store::place::Place;
use crate::service::catalog::fetched;
use crate::service::lifecycle::start::StartError;

/// Has the models here, and gives the settings with their folder, and what was fetched in one line. They stay here until the
/// program ends.
pub fn here(settings: Settings) -> Outcome<(Settings, Option<String>)> {
    let store = fetched::open(&settings).map_err(failure)?;
    let local = fetched::local(&settings, store.as_ref());
    let told = store.as_ref().map(|store| store.told());
    // Other processes leave the revision alone while this one has it.
    std::mem::forget(store);
    Ok((local, told))
}

/// Checks that what a command writes does not go among models that were fetched. The error is one line.
pub fn check_out(out: &Path, settings: &Settings, fetched: bool) -> Result<(), String> {
    if fetched && out.starts_with(&settings.models) {
        return Err(
            "--out: models are fetched, and nothing is written beside them; name a file, and name it in the settings of the \
             server as tasks.NAME.cascade.calibration"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether a path is an address that models are fetched from.
pub fn is_address(path: &Path) -> bool {
    !matches!(Place::of(path), Ok(None))
}

/// The message and the exit code of a catalog that could not be opened: the input is wrong, or what it names is out of reach.
pub fn not_opened(error: StartError) -> (String, Exit) {
    let exit = match error {
        StartError::Store(_) => Exit::Failure,
        _ => Exit::Usage,
    };
    (error.to_string(), exit)
}
