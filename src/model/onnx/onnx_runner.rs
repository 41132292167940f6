//! A runner that runs batches on one session of ONNX Runtime.

use std::sync::Arc;

use ndarray::Array2;
use ort::session::{RunOptions, Session};

use super::arenas::Arenas;
use super::assignment;
use super::bytes::OnnxBytes;
use super::environment::Runtime;
use super::feeds::{Feed, check_fed, feed_for, fixed};
use super::inputs::{Fixed, tensor_for};
use super::opener::{Opener, SessionSettings, run_within};
use super::outputs::OutputReader;
use super::providers::Providers;
use super::watch::RunLimit;
use super::weights::SharedWeights;
use super::words::load_problem;
use crate::model::device_memory::DeviceMemory;
use crate::model::input::ModelInput;
use crate::model::manifest::Manifest;
use crate::model::providers::{Assigned, CPU};
use crate::model::runner::{RunError, Runner};

/// What the sessions of a model are made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The ONNX file and the files beside it.
    pub bytes: &'a OnnxBytes,
    /// The inputs and the output that the graph must have.
    pub manifest: &'a Manifest,
    pub pad_id: u32,
    /// The weights that all sessions share, if they do.
    pub weights: Option<&'a SharedWeights>,
    /// What the graph may run on.
    pub providers: &'a Providers,
    /// The tallies of what its sessions hold.
    pub memory: &'a DeviceMemory,
    pub limit: &'a RunLimit,
}

/// A runner that owns one ONNX Runtime session.
pub struct OnnxRunner {
    /// Before the session, so that they end before it.
    arenas: Arenas,
    memory: DeviceMemory,
    session: Session,
    options: Arc<RunOptions>,
    open: Opener,
    feeds: Vec<Feed>,
    fixed: Fixed,
    output: OutputReader,
    pad_id: u32,
}

impl OnnxRunner {
    /// Opens the manifest's ONNX file, and checks that its inputs and its output are those of the manifest.
    pub fn load(runtime: &'static Runtime, source: Source<'_>, settings: SessionSettings) -> Result<Self, String> {
        let Source { manifest, pad_id, .. } = source;
        let open = Opener {
            environment: &runtime.environment,
            origin: source.bytes.origin(),
            weights: source.weights.cloned(),
            providers: source.providers.clone(),
            settings,
            limit: source.limit.clone(),
        };
        let session = open
            .session(source.bytes)
            .map_err(|error| load_problem(&error.to_string()))?;
        let feeds = session
            .inputs()
            .iter()
            .map(|input| feed_for(input, manifest))
            .collect::<Result<Vec<_>, _>>()?;
        check_fed(&feeds, manifest)?;
        let fixed = fixed(session.inputs(), manifest)?;
        let output = OutputReader::new(session.outputs(), manifest)?;
        let options = RunOptions::new().map_err(|error| error.to_string())?;
        Ok(Self {
            arenas: Arenas::of(&session, source.memory),
            memory: source.memory.clone(),
            session,
            options: Arc::new(options),
            open,
            feeds,
            fixed,
            output,
            pad_id,
        })
    }

    /// What runs the graph.
    pub fn assigned(&self) -> Vec<Assigned> {
        if self.open.providers.is_cpu() {
            return Assigned::all(CPU);
        }
        assignment::of(&self.session)
    }

    /// The rows of every run, if the graph has one number for them.
    pub fn fixed_rows(&self) -> Option<usize> {
        self.fixed.rows
    }

    /// Sets the id that fills short rows up.
    pub fn pad_with(&mut self, pad_id: u32) {
        self.pad_id = pad_id;
    }

    fn run_session(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        let fail = |error: ort::Error| RunError(error.to_string());
        let feeds = self
            .feeds
            .iter()
            .map(|feed| {
                Ok((
                    feed.name.as_str(),
                    tensor_for(feed.kind, feed.numbers, self.fixed, inputs, self.pad_id)?,
                ))
            })
            .collect::<Result<Vec<_>, ort::Error>>()
            .map_err(fail)?;
        let outputs = run_within(&mut self.session, &self.options, &self.open.limit, feeds)?;
        let rows = self.fixed.rows.unwrap_or(0).max(inputs.len());
        let mut read = self.output.read(&outputs, rows)?;
        drop(outputs);
        let widest = inputs.iter().map(|input| input.width()).max().unwrap_or(0);
        self.arenas.after_run(rows * widest);
        if rows > inputs.len() {
            read = read.slice_move(ndarray::s![..inputs.len(), ..]);
        }
        Ok(read)
    }
}

impl Runner for OnnxRunner {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.run_session(inputs)
    }

    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        let fail = |error: ort::Error| RunError(error.to_string());
        let bytes = self.open.origin.read().map_err(|error| RunError(error.to_string()))?;
        let options = Arc::new(RunOptions::new().map_err(fail)?);
        let session = self.open.session(&bytes).map_err(fail)?;
        Ok(Box::new(Self {
            arenas: Arenas::of(&session, &self.memory),
            memory: self.memory.clone(),
            session,
            options,
            open: self.open.clone(),
            feeds: self.feeds.clone(),
            fixed: self.fixed,
            output: self.output.clone(),
            pad_id: self.pad_id,
        }))
    }
}
