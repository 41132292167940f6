//! `tandem check`: everything that a start of the server would verify of one model, and what came out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{ConfigArgs, Exit, fail};
use crate::model::golden::Report;
use crate::model::load::{InstanceSettings, initialize};
use crate::model::manifest::{Golden, Manifest};
use crate::model::repository::{self, MANIFEST_FILE, VerifiedModel};

/// The arguments of `tandem check`.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// The model: its folder, or its name in the repository
    model: PathBuf,
    /// Where settings come from.
    #[command(flatten)]
    config: ConfigArgs,
}

/// Verifies one model.
pub fn run(args: &CheckArgs) -> Exit {
    let settings = match args.config.resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let verified = match find(&args.model, &settings.models) {
        Ok(verified) => verified,
        Err(problem) => return fail(&problem, Exit::Usage),
    };
    describe(&verified);
    let started = Instant::now();
    let instances = InstanceSettings {
        count: 1,
        intra_threads: settings.intra_threads,
        idle_threads: 1,
        max_cells: 256,
    };
    match initialize(&verified, instances) {
        Ok(initialized) => {
            let report = initialized.golden;
            match &verified.manifest.golden {
                Some(golden) => describe_golden(report, golden),
                None => {
                    println!("golden       no examples: nobody has shown that it answers as the model that was trained")
                }
            }
            println!("ok           in {:.0?}", started.elapsed());
            Exit::Success
        }
        Err(error) => fail(&error, Exit::Failure),
    }
}

fn describe_golden(report: Report, golden: &Golden) {
    println!("golden       {} examples, ids identical", report.examples);
    println!(
        "  alone      largest logit difference {:.2e}, tolerance {:.2e}",
        report.largest_difference, golden.logit_tolerance
    );
    println!(
        "  batched    largest logit difference {:.2e}, tolerance {:.2e}",
        report.largest_batched_difference, golden.batched_logit_tolerance
    );
}

fn find(model: &Path, repository: &Path) -> Result<VerifiedModel, String> {
    if model.join(MANIFEST_FILE).is_file() {
        return repository::verify(model).map_err(|error| error.to_string());
    }
    let name = model.to_string_lossy();
    let models = repository::open(repository).map_err(|error| error.to_string())?;
    let found = models.into_iter().find(|verified| verified.manifest.name == name);
    found.ok_or_else(|| {
        format!(
            "{name}: neither a folder with a {MANIFEST_FILE} nor a model in {}",
            repository.display()
        )
    })
}

fn describe(verified: &VerifiedModel) {
    let VerifiedModel {
        folder,
        manifest,
        fingerprint,
        ..
    } = verified;
    let Manifest {
        name,
        version,
        task,
        tier,
        labels,
        ..
    } = manifest;
    println!("model        {name}@{version} ({})", folder.display());
    println!("fingerprint  {fingerprint}");
    println!(
        "task         {task}, tier {}, labels {}",
        tier.name(),
        labels.join(", ")
    );
    println!("files        {} with the right SHA-256", manifest.files.len());
    if manifest.stand_in {
        println!("stand-in     its answers are not meant for use");
    }
}
