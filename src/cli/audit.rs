//! `tandem audit`: what an operator should look at. `export` gets the texts of live traffic that a server keeps as worth
//! labelling, as lines of JSON with a label to fill in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::NamedTempFile;

use super::admin_args::{AdminArgs, told};
use super::config_args::ConfigArgs;
use super::exit::Exit;
use super::out_place;
use super::output::{self, complain, fail};
use crate::api::convert_admin::{from_keep_reason, to_keep_reason};
use crate::api::pb::admin_service_client::AdminServiceClient;
use crate::api::pb::{self, Tier};
use crate::config::Settings;
use crate::model::paths::folder_of;
use crate::service::catalog::kept::line::{KeptLine, Labels};
use crate::service::catalog::kept::text::KeepReason;

/// The most texts that a server keeps. One that keeps more while they are read would never be read to the end.
const MOST_TEXTS: usize = 100_000;
/// The largest page: the last text on it may have the most bytes that a server can be set to accept, and so may its second.
const MOST_PAGE_BYTES: usize = 64 << 20;

const EXAMPLE: &str = "Example: tandem audit export --reason random --out today.jsonl, then fill in each `label` (null until \
then), then tandem evaluate today.jsonl --skip-unlabelled. tandem calibrate and train read it too. Texts of one reason are \
unlike those of another: measure and certify on those drawn at random, train on all.";

/// The arguments of `tandem audit`.
#[derive(clap::Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    action: Action,
    /// How to reach the server.
    #[command(flatten)]
    admin: AdminArgs,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Write the texts that the server keeps since `keep_texts` is set, as JSON Lines with an empty label
    #[command(after_help = EXAMPLE)]
    Export(ExportArgs),
}

#[derive(clap::Args)]
struct ExportArgs {
    /// Only texts of this task [default: all]
    #[arg(long, value_name = "TASK", default_value = "", hide_default_value = true)]
    task: String,
    /// Only texts that are kept for this reason; may be repeated
    #[arg(long, value_name = "REASON")]
    reason: Vec<KeepReason>,
    /// Write to this file, which must not be there yet, for its owner alone to read [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Calls the server and writes what it says.
pub fn run(args: &AuditArgs) -> Exit {
    let Action::Export(export) = &args.action;
    let settings = match args.config.resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    if let Some(Err(problem)) = export.out.as_deref().map(check_out) {
        return fail(&problem, Exit::Usage);
    }
    let tokio = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => return fail(&error, Exit::Failure),
    };
    match tokio.block_on(export_texts(args, export, &settings)) {
        Ok(()) => Exit::Success,
        Err(problem) => fail(&problem, Exit::Failure),
    }
}

/// A file that is there may hold labels.
fn check_out(out: &Path) -> Result<(), String> {
    if out.exists() {
        return Err(there_already(out));
    }
    out_place::check(out, "--out")
}

fn there_already(out: &Path) -> String {
    format!(
        "--out: {} is there already, and labels may be in it; name another file",
        out.display()
    )
}

async fn export_texts(args: &AuditArgs, export: &ExportArgs, settings: &Settings) -> Result<(), String> {
    let client = AdminServiceClient::new(args.admin.connect(settings).await?);
    let mut client = client.max_decoding_message_size(MOST_PAGE_BYTES);
    let mut sink = Sink::open(export.out.as_deref())?;
    let (mut counts, mut page_token) = (Counts::default(), String::new());
    loop {
        let request = pb::ExportTextsRequest {
            task: export.task.clone(),
            reasons: export
                .reason
                .iter()
                .map(|reason| to_keep_reason(*reason).into())
                .collect(),
            page_size: 0,
            page_token,
        };
        let page = told(client.export_texts(args.admin.within(request)).await)?;
        for kept in &page.texts {
            sink.write(&line(kept))?;
            counts.add(kept);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() || counts.texts >= MOST_TEXTS || output::failed() {
            break;
        }
    }
    sink.finish()?;
    counts.tell();
    Ok(())
}

/// The line of a text.
fn line(kept: &pb::KeptText) -> Vec<u8> {
    let labels = |labels| Labels::new(labels, kept.multi_label);
    let reasons = kept.reasons().filter_map(from_keep_reason);
    let line = KeptLine {
        text: &kept.text,
        text_pair: kept.text_pair.as_deref(),
        label: (),
        reasons: reasons.map(KeepReason::name).collect(),
        predicted: labels(&kept.predicted_labels),
        withheld: kept.withheld,
        confidence: kept.confidence,
        tier: match kept.tier() {
            Tier::Unspecified => "",
            Tier::Fast => "fast",
            Tier::Deep => "deep",
        },
        deep: kept.deep_answer.as_ref().map(|deep| labels(&deep.labels)),
        task: &kept.task,
        model: &kept.model,
        at: &kept.kept_at,
    };
    line.to_bytes()
}

/// Where lines go.
enum Sink<'a> {
    Standard,
    /// A file without a name until it is whole, so that nothing is left of one that is not; or where the file system has no
    /// such files, one of another name.
    Unnamed(&'a Path, File),
    Named(&'a Path, NamedTempFile),
}

impl<'a> Sink<'a> {
    fn open(out: Option<&'a Path>) -> Result<Self, String> {
        let Some(out) = out else { return Ok(Self::Standard) };
        // For its owner alone, as such files are made.
        let (flags, mode) = (OFlags::TMPFILE | OFlags::WRONLY, Mode::RUSR | Mode::WUSR);
        if let Ok(file) = rustix::fs::open(folder_of(out), flags, mode) {
            return Ok(Self::Unnamed(out, File::from(file)));
        }
        let file = tempfile::Builder::new().prefix(".tandem-").tempfile_in(folder_of(out));
        let file = file.map_err(|error| format!("{}: {error}", out.display()))?;
        Ok(Self::Named(out, file))
    }

    fn write(&mut self, line: &[u8]) -> Result<(), String> {
        match self {
            Self::Standard => {
                output::raw(line);
                Ok(())
            }
            Self::Unnamed(out, file) => written(file.write_all(line), out),
            Self::Named(out, file) => written(file.write_all(line), out),
        }
    }

    fn finish(self) -> Result<(), String> {
        let (out, named) = match self {
            Self::Standard => return Ok(()),
            Self::Unnamed(out, file) => {
                written(file.sync_all(), out)?;
                let source = format!("/proc/self/fd/{}", file.as_raw_fd());
                let named = rustix::fs::linkat(CWD, source, CWD, out, AtFlags::SYMLINK_FOLLOW);
                (out, named.map_err(io::Error::from))
            }
            Self::Named(out, file) => {
                written(file.as_file().sync_all(), out)?;
                (
                    out,
                    file.persist_noclobber(out).map(drop).map_err(|failed| failed.error),
                )
            }
        };
        match named {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(there_already(out)),
            named => written(named, out),
        }
    }
}

fn written(outcome: io::Result<()>, out: &Path) -> Result<(), String> {
    outcome.map_err(|error| format!("{}: {error}", out.display()))
}

/// How many texts there were.
#[derive(Default)]
struct Counts {
    texts: usize,
    pairs: usize,
    tasks: BTreeSet<String>,
    by_reason: [usize; KeepReason::ALL.len()],
}

impl Counts {
    fn add(&mut self, kept: &pb::KeptText) {
        self.texts += 1;
        if !self.tasks.contains(&kept.task) {
            self.tasks.insert(kept.task.clone());
        }
        self.pairs += usize::from(kept.text_pair.is_some());
        for reason in kept.reasons().filter_map(from_keep_reason) {
            self.by_reason[reason as usize] += 1;
        }
    }

    fn tell(&self) {
        let of = |reason: KeepReason| format!("{} {}", self.by_reason[reason as usize], reason.name());
        let noun = if self.texts == 1 { "text" } else { "texts" };
        complain(&format!(
            "{} {noun}: {}",
            self.texts,
            KeepReason::ALL.map(of).join(", ")
        ));
        if self.tasks.len() > 1 {
            complain(&format!(
                "they are of {} tasks, which train, calibrate and evaluate do not tell apart: export each with --task",
                self.tasks.len()
            ));
        }
        if self.texts >= MOST_TEXTS {
            complain(&format!("no more than {MOST_TEXTS} are read; the server may have more"));
        }
        if self.pairs > 0 {
            complain(&format!(
                "{} have a second text, `text_pair`, which train, calibrate and evaluate do not read",
                self.pairs
            ));
        }
    }
}
