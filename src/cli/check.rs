//! `tandem check`: everything that a start of the server would verify of one model, and what came out. Of a folder without a
//! manifest: what was found, what was assumed, what is wrong and how to put it right.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::output::outln;
use super::{ConfigArgs, Exit, complain, fail, write_manifest};
use crate::config::Settings;
use crate::model::discover::{self, Examined, Hints, Note, NoteKind};
use crate::model::golden::Report;
use crate::model::load::{InstanceSettings, initialize};
use crate::model::manifest::{Batch, Golden, Manifest, OWN_GOLDEN, OutputKind};
use crate::model::neighbours::Neighbours;
use crate::model::repository::{self, MANIFEST_FILE, VerifiedModel};

/// The arguments of `tandem check`.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// The model: its folder, or its name in the repository
    model: PathBuf,
    /// Write what was found into the folder: manifest.toml with checksums, and golden.jsonl with examples by Tandem itself
    #[arg(long)]
    write_manifest: bool,
    /// Let --write-manifest overwrite a manifest and golden examples that are there, made anew from the export
    #[arg(long, requires = "write_manifest")]
    force: bool,
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
    let folder = match find(&args.model, &settings.models) {
        Ok(folder) => folder,
        Err(problem) => return fail(&problem, Exit::Usage),
    };
    let has_manifest = folder.join(MANIFEST_FILE).is_file();
    if has_manifest && args.write_manifest && !args.force {
        let there = folder.join(MANIFEST_FILE);
        return fail(
            &format!("{} is there already; --force overwrites it", there.display()),
            Exit::Usage,
        );
    }
    let verified = if has_manifest && !args.write_manifest {
        repository::verify(&folder).map_err(|error| fail(&error, Exit::Usage))
    } else {
        examined(&folder)
    };
    match verified {
        Ok(verified) => load(&verified, &settings, args),
        Err(exit) => exit,
    }
}

/// The folder of a model: the one that is named, or the newest version in the repository.
fn find(model: &Path, repository: &Path) -> Result<PathBuf, String> {
    if model.is_dir() {
        return Ok(model.to_owned());
    }
    let name = model.to_string_lossy();
    let folders = repository::newest(repository).map_err(|error| error.to_string())?;
    let named = |folder: &PathBuf| folder.parent().and_then(Path::file_name) == Some(model.as_os_str());
    folders
        .into_iter()
        .find(named)
        .ok_or_else(|| format!("{name}: neither a folder nor a model in {}", repository.display()))
}

/// What a folder without a manifest is; tells everything that is to be told of it.
fn examined(folder: &Path) -> Result<VerifiedModel, Exit> {
    let hints = hints(folder);
    let Examined { manifest, notes } = discover::examine(folder, &hints);
    outln!("folder       {} has no {MANIFEST_FILE}", folder.display());
    for (kind, heading) in [
        (NoteKind::Found, "found"),
        (NoteKind::Assumed, "assumed"),
        (NoteKind::Doubtful, "doubtful"),
        (NoteKind::Wrong, "wrong"),
    ] {
        notes
            .iter()
            .filter(|note| note.kind == kind)
            .for_each(|note| tell(heading, note));
    }
    match manifest {
        Some(manifest) => Ok(repository::unverified(folder, manifest, notes)),
        None => {
            let wrong = notes.iter().filter(|note| note.kind == NoteKind::Wrong).count();
            let noun = if wrong == 1 { "thing is" } else { "things are" };
            complain(&format!("{}: {wrong} {noun} wrong, see above", folder.display()));
            Err(Exit::Usage)
        }
    }
}

/// What the folder is called; a manifest that is about to be overwritten keeps its names.
fn hints(folder: &Path) -> Hints {
    let by_folder = Hints::of_folder(folder);
    match repository::manifest_in(folder) {
        Some(manifest) => Hints {
            name: manifest.name,
            version: manifest.version,
            task: Some(manifest.task),
            tier: Some(manifest.tier),
            ..by_folder
        },
        None => by_folder,
    }
}

fn tell(heading: &str, note: &Note) {
    outln!("{heading:<12} {}", note.text);
    if let Some(remedy) = &note.remedy {
        outln!("  remedy     {remedy}");
    }
}

fn load(verified: &VerifiedModel, settings: &Settings, args: &CheckArgs) -> Exit {
    describe(verified);
    let started = Instant::now();
    let instances = InstanceSettings {
        count: 1,
        intra_threads: settings.intra_threads,
        idle_threads: 1,
        max_cells: 256,
    };
    let mut initialized = match initialize(verified, instances) {
        Ok(initialized) => initialized,
        Err(error) => return fail(&error, Exit::Failure),
    };
    describe_neighbours(initialized.neighbours);
    match &verified.manifest.golden {
        Some(golden) => describe_golden(initialized.golden, golden, verified.manifest.onnx.output_kind),
        None => outln!("golden       no examples: nobody compared its answers with those of its training framework"),
    }
    if args.write_manifest {
        let written = write_manifest::write(&verified.folder, &verified.manifest, &mut initialized, args.force);
        if let Err(problem) = written {
            return fail(&problem, Exit::Failure);
        }
        outln!("written      {MANIFEST_FILE} and golden.jsonl: later change is detected, a wrong export is not");
    } else if verified.manifest.golden.is_none() {
        outln!("  remedy     --write-manifest writes {MANIFEST_FILE} with checksums and examples; see docs/models.md");
    }
    outln!("ok           in {:.0?}", started.elapsed());
    Exit::Success
}

/// Which texts share a batch, and how far answers move where they do.
fn describe_neighbours(neighbours: Neighbours) {
    let Neighbours {
        batch,
        told,
        mixed,
        same_length,
        beyond,
    } = neighbours;
    let held = match batch {
        Batch::Any => "texts of any length share a batch",
        Batch::SameLength => "texts of as many tokens share a batch",
        Batch::Alone => "each text runs alone",
    };
    let whose = if told { " (limits.batch of the manifest)" } else { "" };
    outln!("neighbours   {held}{whose}");
    if beyond && batch == Batch::Any {
        outln!("  doubtful   an answer depends on the texts that share its batch");
    }
    outln!("  moved      outputs by up to {mixed:.2e} among texts of any length, {same_length:.2e} among those of one");
}

fn describe_golden(report: Report, golden: &Golden, output_kind: OutputKind) {
    let of = match output_kind {
        OutputKind::Logits => "logit",
        OutputKind::Probabilities => "probability",
    };
    outln!("golden       {} examples, ids identical", report.examples);
    outln!(
        "  alone      largest {of} difference {:.2e}, tolerance {:.2e}",
        report.largest_difference,
        golden.logit_tolerance
    );
    outln!(
        "  batched    largest {of} difference {:.2e}, tolerance {:.2e}",
        report.largest_batched_difference,
        golden.batched_logit_tolerance
    );
    if golden.source == OWN_GOLDEN {
        outln!("  source     Tandem itself: they detect later change, not a wrong export");
    }
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
    outln!("model        {name}@{version} ({})", folder.display());
    outln!("fingerprint  {fingerprint}");
    outln!(
        "task         {task}, tier {}, labels {}",
        tier.name(),
        labels.join(", ")
    );
    if folder.join(MANIFEST_FILE).is_file() {
        outln!("files        {} with the right SHA-256", manifest.files.len());
    } else {
        outln!(
            "files        {}, without a SHA-256 to hold them to",
            manifest.files.len()
        );
    }
    if manifest.stand_in {
        outln!("stand-in     its answers are not meant for use");
    }
}
