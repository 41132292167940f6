//! `tandem check`: verifies of one model everything that a start of the server would, and prints the findings: what the
//! model is; for a folder without a manifest, what was assumed; what is doubtful or wrong, and how to fix it.

mod report;
mod tolerances;

use std::path::{Path, PathBuf};
use std::time::Instant;

use report::{GoldenFacts, ModelFacts, NeighbourFacts, NoteFacts, Printer, ProviderFacts, Report};

use super::config_args::ConfigArgs;
use super::exit::Exit;
use super::models_here::{here, is_address};
use super::outcome::Outcome;
use super::output::{self, complain, fail};
use super::terminal::Style;
use super::write_manifest;
use crate::config::Settings;
use crate::model::discover::{self, Examined, Hints};
use crate::model::loading::{Around, Initialized, InstanceSettings, LoadOptions, initialize_in};
use crate::model::manifest::Batch;
use crate::model::memory::{self, Expected};
use crate::model::neighbours::Neighbours;
use crate::model::preprocess::tokenizer::Beyond;
use crate::model::providers::ProviderList;
use crate::model::repository::{self, MANIFEST_FILE, VerifiedModel};

/// The arguments of `tandem check`.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// The model: its folder, its name in the repository, or the address to fetch it from
    model: PathBuf,
    /// Write what was found into the folder: manifest.toml with checksums, and golden.jsonl with examples by Tandem itself
    #[arg(long)]
    write_manifest: bool,
    /// Let --write-manifest overwrite a manifest and golden examples that are there, made anew from the export
    #[arg(long, requires = "write_manifest")]
    force: bool,
    /// Check it on these execution providers, as `openvino`: golden examples are measured there, and only their labels must agree
    #[arg(long, value_name = "LIST", conflicts_with = "write_manifest")]
    provider: Option<ProviderList>,
    /// Write how far the golden examples may be on --provider into the manifest, by what was measured
    #[arg(long, requires = "provider")]
    write_tolerances: bool,
    /// End with exit code 3 where something is doubtful
    #[arg(long)]
    strict: bool,
    /// Print all of it as one JSON object
    #[arg(long)]
    json: bool,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    config: ConfigArgs,
}

/// Verifies one model.
pub fn run(args: &CheckArgs) -> Exit {
    let settings = match args.config.resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let (settings, folder, fetched) = match place(args, settings) {
        Ok(found) => found,
        Err((problem, exit)) => return fail(&problem, exit),
    };
    let mut report = Report {
        folder: folder.clone(),
        fetched,
        ..Report::default()
    };
    let mut printer = Printer { json: args.json };
    if let Some(fetched) = &report.fetched {
        printer.line("fetched", fetched, Style::Plain);
    }
    let exit = match check(&folder, &settings, args, &mut report, &mut printer) {
        Ok(exit) => exit,
        Err((problem, exit)) => {
            complain(&problem);
            report.outcome = "failed";
            report.problem = Some(problem);
            exit
        }
    };
    if args.json {
        let json = serde_json::to_string_pretty(&report).expect("names and numbers");
        output::block(&json);
    }
    exit
}

fn check(
    folder: &Path,
    settings: &Settings,
    args: &CheckArgs,
    report: &mut Report,
    printer: &mut Printer,
) -> Result<Exit, (String, Exit)> {
    let has_manifest = folder.join(MANIFEST_FILE).is_file();
    if has_manifest && args.write_manifest && !args.force {
        let there = folder.join(MANIFEST_FILE);
        return Err((
            format!("{} is there already; --force overwrites it", there.display()),
            Exit::Usage,
        ));
    }
    let verified = if has_manifest && !args.write_manifest {
        let verified = repository::verify(folder).map_err(|error| (error.to_string(), Exit::Usage))?;
        let verified = verified.reading_at_most(settings.configured_max_tokens());
        report.notes = verified.notes.iter().map(NoteFacts::of).collect();
        verified
    } else {
        let hints = hints(folder, settings);
        let Examined { manifest, notes } = discover::examine(folder, &hints);
        report.notes = notes.iter().map(NoteFacts::of).collect();
        let Some(manifest) = manifest else {
            printer.line(
                "folder",
                &format!("{} has no {MANIFEST_FILE}", folder.display()),
                Style::Plain,
            );
            printer.notes(&report.notes);
            report.outcome = "wrong";
            let wrong = report.count("wrong");
            let noun = if wrong == 1 { "thing is" } else { "things are" };
            complain(&format!("{}: {wrong} {noun} wrong, see above", folder.display()));
            return Ok(Exit::Usage);
        };
        repository::unverified(folder, manifest, notes, &hints)
    };
    let providers = args
        .provider
        .clone()
        .or_else(|| settings.providers_of(&verified.manifest));
    let verified = verified.on(providers);
    let facts = ModelFacts::of(&verified, has_manifest && !args.write_manifest);
    printer.model(&facts, folder);
    report.model = Some(facts);
    let too_many = verified.asked_too_many(settings.configured_max_tokens());
    report
        .notes
        .extend(too_many.map(|text| NoteFacts::of_kind("assumed", text)));
    printer.notes(&report.notes);
    load(&verified, settings, args, report, printer)?;
    let doubtful = report.count("doubtful");
    if doubtful == 0 {
        report.outcome = "ok";
        return Ok(Exit::Success);
    }
    report.outcome = "doubtful";
    if args.strict {
        let noun = if doubtful == 1 { "thing is" } else { "things are" };
        complain(&format!("{}: {doubtful} {noun} doubtful, see above", folder.display()));
        return Ok(Exit::Doubtful);
    }
    Ok(Exit::Success)
}

/// The folder of the model, and what was fetched for it in one line. Models that the settings only name by an address are
/// fetched where the model is none of this machine's folders.
fn place(args: &CheckArgs, mut settings: Settings) -> Outcome<(Settings, PathBuf, Option<String>)> {
    let usage = |problem: String| (problem, Exit::Usage);
    let is_address = is_address(&args.model);
    if is_address {
        settings.models.clone_from(&args.model);
        (settings.deep, settings.fast) = (None, None);
        settings.check().map_err(usage)?;
    }
    let mut fetched = None;
    if is_address || !args.model.exists() {
        (settings, fetched) = here(settings)?;
    }
    if fetched.is_some() && args.write_manifest {
        let problem =
            "--write-manifest: the model is fetched, and nothing is written into model_cache; copy its folder";
        return Err(usage(problem.into()));
    }
    let folder = if is_address {
        only(&settings.models).map_err(usage)?
    } else {
        find(&args.model, &settings.models).map_err(usage)?
    };
    Ok((settings, folder, fetched))
}

/// The folder of the only model in a repository.
fn only(repository: &Path) -> Result<PathBuf, String> {
    let folders = repository::newest(repository).map_err(|error| error.to_string())?;
    let name = |folder: &PathBuf| folder.parent().and_then(Path::file_name).unwrap_or_default().to_owned();
    match &folders[..] {
        [folder] => Ok(folder.clone()),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|folder| name(folder).display().to_string())
                .collect();
            let names = names.join(", ");
            Err(format!(
                "there are several models: {names}; give the address as --models, and name one"
            ))
        }
    }
}

/// The folder of a model: the one named, or the newest version in the repository.
pub fn find(model: &Path, repository: &Path) -> Result<PathBuf, String> {
    if model.is_dir() {
        return Ok(model.to_owned());
    }
    let name = model.display();
    if model.is_file() {
        return Err(format!("{name}: is a file; name the folder that it is in"));
    }
    let nowhere = |why: &str| format!("{name}: neither a folder nor a model in {}{why}", repository.display());
    let folders = match repository::newest(repository) {
        Ok(folders) => folders,
        // A name refers to the repository, so a broken repository is the error. A path does not.
        Err(error) => return Err(nowhere(&format!(" ({error})"))),
    };
    let named = |folder: &PathBuf| folder.parent().and_then(Path::file_name) == Some(model.as_os_str());
    folders.into_iter().find(named).ok_or_else(|| nowhere(""))
}

/// The names for a folder without a manifest. A manifest that is about to be overwritten keeps its names.
fn hints(folder: &Path, settings: &Settings) -> Hints {
    let by_folder = Hints {
        max_tokens: settings.configured_max_tokens(),
        ..Hints::of_folder(folder)
    };
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

fn load(
    verified: &VerifiedModel,
    settings: &Settings,
    args: &CheckArgs,
    report: &mut Report,
    printer: &mut Printer,
) -> Result<(), (String, Exit)> {
    let started = Instant::now();
    let instances = InstanceSettings {
        count: 1,
        intra_threads: settings.intra_threads,
        idle_threads: 1,
        max_cells: 256,
        fast_path: settings.fast_path,
    };
    let expected = Expected::of(verified, instances);
    if let Some(problem) = memory::of_cgroup().and_then(|usage| expected.too_much(usage, "the control group's")) {
        return Err((format!("{}: {problem}", verified.folder.display()), Exit::Failure));
    }
    let options = LoadOptions {
        measure_golden: args.provider.is_some(),
        ..LoadOptions::default()
    };
    let initialized = initialize_in(verified, instances, Around::Quiet, &options);
    let mut initialized = initialized.map_err(|error| (error.to_string(), Exit::Failure))?;
    report.execution_providers = initialized.model.assigned.iter().map(ProviderFacts::of).collect();
    printer.providers(&report.execution_providers);
    let found: Vec<NoteFacts> = initialized.model.fewer.iter().map(NoteFacts::of).collect();
    printer.notes(&found);
    report.notes.extend(found);
    let neighbours = initialized.model.neighbours;
    describe_neighbours(neighbours, printer);
    if neighbours.beyond && neighbours.batch == Batch::Any {
        report
            .notes
            .extend(neighbours.remark().map(|text| NoteFacts::of_kind("doubtful", text)));
    }
    report.neighbours = Some(NeighbourFacts::of(neighbours));
    if let Some(beyond) = initialized.model.tokens_beyond() {
        let doubt = NoteFacts {
            remedy: Some(Beyond::REMEDY.to_owned()),
            ..NoteFacts::of_kind("doubtful", beyond.doubt())
        };
        printer.notes(std::slice::from_ref(&doubt));
        report.notes.push(doubt);
    }
    describe_golden(verified, &initialized, args, report, printer);
    if args.write_manifest {
        let mut manifest = verified.manifest.clone();
        manifest.preprocess = initialized.model.manifest.preprocess.clone();
        write_manifest::write(&verified.folder, &manifest, &mut initialized, args.force)
            .map_err(|problem| (problem, Exit::Failure))?;
        report.written = vec![MANIFEST_FILE, "golden.jsonl"];
        let written = format!("{MANIFEST_FILE} and golden.jsonl: later change is detected, a wrong export is not");
        printer.line("written", &written, Style::Plain);
    } else if verified.manifest.golden.is_none() {
        let remedy = format!("--write-manifest writes {MANIFEST_FILE} with checksums and examples");
        printer.line("  remedy", &remedy, Style::Plain);
    }
    if args.write_tolerances {
        write_tolerances(verified, &initialized, report, printer).map_err(|problem| (problem, Exit::Failure))?;
    }
    let taken = started.elapsed();
    report.seconds = Some(taken.as_secs_f64());
    printer.verdict(report.count("doubtful"), &format!("{taken:.0?}"));
    Ok(())
}

/// Prints how far the golden examples are, and doubts a provider on which they are too far.
fn describe_golden(
    verified: &VerifiedModel,
    initialized: &Initialized,
    args: &CheckArgs,
    report: &mut Report,
    printer: &Printer,
) {
    let Some(golden) = &verified.manifest.golden else {
        let doubt = "no examples: nobody compared its answers with those of its training framework";
        printer.line("golden", doubt, Style::Doubtful);
        return;
    };
    let names: Vec<&str> = verified
        .providers
        .all()
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    let golden = golden.on(&names);
    let facts = GoldenFacts::of(initialized.golden, &golden, verified.manifest.onnx.output_kind);
    printer.golden(&facts);
    report.golden = Some(facts);
    let too_far = args.provider.is_some() && !tolerances::are_kept(&golden, initialized.golden);
    if too_far && !args.write_tolerances {
        let remedy = "--write-tolerances allows what was measured; `tandem evaluate` with --deep-execution-providers says what it costs";
        let doubt = NoteFacts {
            remedy: Some(remedy.to_owned()),
            ..NoteFacts::of_kind(
                "doubtful",
                "its answers differ by more than the manifest allows, so it would not serve there".to_owned(),
            )
        };
        printer.notes(std::slice::from_ref(&doubt));
        report.notes.push(doubt);
    }
}

/// Writes the tolerances of the first provider that is not the processor.
fn write_tolerances(
    verified: &VerifiedModel,
    initialized: &Initialized,
    report: &mut Report,
    printer: &Printer,
) -> Result<(), String> {
    let first = verified.providers.all().iter().find(|provider| !provider.is_cpu());
    let provider = first.ok_or("--write-tolerances: the tolerances of the processor are those of the manifest")?;
    let has_some = verified.has_manifest() && verified.manifest.golden.is_some();
    if !has_some {
        return Err(
            "--write-tolerances: there are no golden examples; --write-manifest makes some, on the processor".into(),
        );
    }
    let tolerances = tolerances::of(initialized.golden);
    tolerances::write(&verified.folder, &provider.name, tolerances)?;
    report.written = vec![MANIFEST_FILE];
    let written = format!(
        "{MANIFEST_FILE}: on {} a logit may differ by {}, in a batch by {}; the model's fingerprint is another one now",
        provider.name, tolerances.logit_tolerance, tolerances.batched_logit_tolerance
    );
    printer.line("written", &written, Style::Plain);
    Ok(())
}

/// Prints which texts may share a batch, and how far answers move when they do.
fn describe_neighbours(neighbours: Neighbours, printer: &Printer) {
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
    printer.line("neighbours", &format!("{held}{whose}"), Style::Plain);
    if beyond && batch == Batch::Any {
        let doubt = "an answer depends on the texts that share its batch";
        printer.line("  doubtful", doubt, Style::Doubtful);
    }
    let moved = format!("outputs by up to {mixed:.2e} among texts of any length, {same_length:.2e} among those of one");
    printer.line("  moved", &moved, Style::Plain);
}
