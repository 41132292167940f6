//! Who is evaluated: routes of a task and models, in this process or by a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use super::args::EvaluateArgs;
use crate::api::pb;
use crate::cli::check;
use crate::cli::exit::Exit;
use crate::cli::outcome::{Outcome, failure};
use crate::cli::predict::backend::{Backend, local};
use crate::cli::predict::question::Question;
use crate::config::Settings;
use crate::config::settings::RouteSetting;
use crate::model::Tier;
use crate::model::manifest::ProblemType;
use crate::model::model_name::ModelName;
use crate::model::postprocess::DEFAULT_THRESHOLD;
use crate::model::repository::{self, VerifiedModel};
use crate::offline::dataset::Dataset;
use crate::offline::evaluation::findings::Kind;
use crate::offline::reader::Fields;
use crate::offline::timing;
use crate::service::Service;
use crate::service::lifecycle::start::open_catalog;

/// The most contenders.
const MOST: usize = 2;

/// One of those that are evaluated.
pub struct Contender {
    /// Its name for people: the route, or the model's name and version.
    pub name: String,
    /// The route, for one that is no model.
    pub route: Option<RouteSetting>,
    pub question: Question,
    pub backend: Backend,
    /// Its labels, in the order of its model's outputs.
    pub labels: Vec<String>,
    /// The models that took part so far.
    pub models: Vec<pb::ModelRef>,
    /// From which probability on its fast and its deep model give each label, as far as that is known: a server does not
    /// tell.
    pub thresholds: Thresholds,
}

/// The thresholds of a fast and a deep model, by the places of the labels; 0.5 for those that are not there.
#[derive(Clone, Debug, Default)]
pub struct Thresholds {
    fast: Vec<f32>,
    deep: Vec<f32>,
}

impl Thresholds {
    /// Those of the model that answered.
    pub fn of(&self, prediction: &pb::Prediction) -> &[f32] {
        match prediction.tier() {
            pb::Tier::Fast => &self.fast,
            _ => &self.deep,
        }
    }
}

/// Opens everything that is to be evaluated. Models in this process are loaded.
pub async fn open(args: &EvaluateArgs, settings: &Settings) -> Outcome<Vec<Contender>> {
    let mut contenders = Vec::new();
    let routes = routes(args);
    if !routes.is_empty() {
        let backend = match &args.addr {
            Some(address) => Backend::remote(address, &args.credentials, settings).await?,
            None => Backend::Local(of_routes(args, settings, &routes)?),
        };
        for route in routes {
            let question = Question {
                task: args.task.clone(),
                route,
                windows: args.windows,
                ..Question::default()
            };
            contenders.push(Contender::new(name_of(route), route, question, backend.clone()).await?);
        }
    }
    for model in &args.model {
        let (name, backend) = match &args.addr {
            Some(address) => {
                if ModelName::parse(model).is_none() {
                    let problem =
                        format!("--model {model}: with --addr write NAME or NAME@VERSION, as the server knows it");
                    return Err((problem, Exit::Usage));
                }
                (
                    model.clone(),
                    Backend::remote(address, &args.credentials, settings).await?,
                )
            }
            None => of_folder(&folder_of(model, &settings.models)?, settings)?,
        };
        let question = Question {
            model: name.clone(),
            windows: args.windows,
            ..Question::default()
        };
        contenders.push(Contender::new(name, None, question, backend).await?);
    }
    // Two folders may hold models of one name and version.
    if let [first, second] = &mut contenders[..]
        && first.name == second.name
        && let [of_first, of_second] = &args.model[..]
    {
        (first.name, second.name) = (of_first.clone(), of_second.clone());
    }
    Ok(contenders)
}

/// The routes to evaluate: the task's usual one if nothing is named.
fn routes(args: &EvaluateArgs) -> Vec<Option<RouteSetting>> {
    if args.route.is_empty() && args.model.is_empty() {
        return vec![None];
    }
    args.route.iter().copied().map(Some).collect()
}

fn name_of(route: Option<RouteSetting>) -> String {
    let name = route.and_then(|route| route.to_possible_value());
    name.map_or_else(|| "usual route".to_owned(), |name| name.get_name().to_owned())
}

/// Fails if more contenders are named than stand side by side.
pub fn check_count(args: &EvaluateArgs) -> Outcome<()> {
    let count = args.route.len() + args.model.len();
    if count > MOST {
        return Err((
            format!("{count} routes and models are named; at most {MOST} stand side by side"),
            Exit::Usage,
        ));
    }
    Ok(())
}

/// Whether a route of a task asks models of this tier.
fn needs(route: Option<RouteSetting>, tier: Tier) -> bool {
    match route {
        Some(RouteSetting::Fast) => tier == Tier::Fast,
        Some(RouteSetting::Deep) => tier == Tier::Deep,
        Some(RouteSetting::Cascade) | None => true,
    }
}

/// The models of the task that the routes need.
fn of_routes(args: &EvaluateArgs, settings: &Settings, routes: &[Option<RouteSetting>]) -> Outcome<Service> {
    local(settings, |catalog, version| {
        let of_task = catalog.task(&args.task).is_none_or(|task| {
            let mut models = task.models();
            models.any(|model| Arc::ptr_eq(model, version))
        });
        let tier = version.verified.manifest.tier;
        of_task && routes.iter().any(|&route| needs(route, tier))
    })
}

/// What is known of a contender before its models are loaded.
pub struct Looked {
    pub name: String,
    /// Its labels, in the order of its model's outputs.
    pub labels: Vec<String>,
    /// Its models.
    pub models: Vec<VerifiedModel>,
}

/// Looks at everything that is to be evaluated in this process. Files are read, and nothing is loaded.
pub fn look(args: &EvaluateArgs, settings: &Settings) -> Outcome<Vec<Looked>> {
    let usage = |problem: String| (problem, Exit::Usage);
    let opened = |settings: &Settings| open_catalog(settings).map_err(|error| usage(error.to_string()));
    let mut found = Vec::new();
    let routes = routes(args);
    if !routes.is_empty() {
        let catalog = opened(settings)?.catalog;
        let Some(task) = catalog.task(&args.task) else {
            let known = catalog.task_names().collect::<Vec<_>>().join(", ");
            return Err(usage(format!("--task: name one of the tasks: {known}")));
        };
        let task_name = catalog.task_name(&args.task).unwrap_or_default();
        for route in routes {
            let models = task.models().filter_map(|model| model.verified.of_task(task_name));
            let models = models.filter(|model| needs(route, model.manifest.tier)).collect();
            found.push(Looked::new(name_of(route), models)?);
        }
    }
    for model in &args.model {
        let catalog = opened(&alone(&folder_of(model, &settings.models)?, settings))?.catalog;
        let models = catalog.versions().map(|model| model.verified.clone()).collect();
        found.push(Looked::new(model.clone(), models)?);
    }
    Ok(found)
}

impl Looked {
    /// Whether one of its models gives each label by itself.
    pub fn is_multi_label(&self) -> bool {
        let mut models = self.models.iter();
        models.any(|model| model.manifest.problem_type == ProblemType::MultiLabel)
    }

    /// The thresholds of its models, by the places of these labels.
    pub fn thresholds(&self, labels: &[String]) -> Thresholds {
        let of = |tier: Tier| {
            let model = self.models.iter().find(|model| model.manifest.tier == tier);
            let in_order = model.map(|VerifiedModel { manifest, .. }| {
                let place = |label: &String| manifest.labels.iter().position(|own| own == label);
                let own = |label: &String| manifest.calibration.thresholds.get(place(label)?).copied();
                let thresholds = labels.iter().map(|label| own(label).unwrap_or(DEFAULT_THRESHOLD));
                thresholds.collect()
            });
            in_order.unwrap_or_default()
        };
        Thresholds {
            fast: of(Tier::Fast),
            deep: of(Tier::Deep),
        }
    }

    /// The order of the labels is that of the deep model, where there are two.
    fn new(name: String, models: Vec<VerifiedModel>) -> Outcome<Self> {
        let first = models.iter().max_by_key(|model| model.manifest.tier == Tier::Deep);
        let Some(first) = first else {
            return Err((format!("--route {name}: the task has no model for it"), Exit::Usage));
        };
        Ok(Self {
            labels: first.manifest.labels.clone(),
            name,
            models,
        })
    }
}

/// About how long a contender takes for the texts. Nothing was loaded yet, so it is a guess.
pub fn guess(looked: &Looked, dataset: &Dataset) -> Duration {
    looked.models.iter().map(|model| timing::guess(model, dataset)).sum()
}

/// The folder of a model that is named by its folder, or by its name in the repository: in the newest version, unless
/// another is named.
fn folder_of(model: &str, repository: &Path) -> Outcome<PathBuf> {
    let problem = |problem: String| (format!("--model {problem}"), Exit::Usage);
    if Path::new(model).is_dir() {
        return Ok(PathBuf::from(model));
    }
    match ModelName::parse(model) {
        Some(ModelName {
            name,
            version: Some(version),
        }) => {
            let folder = repository.join(name).join(version);
            let nowhere = || problem(format!("{model}: no such version in {}", repository.display()));
            folder.is_dir().then_some(folder).ok_or_else(nowhere)
        }
        _ => check::find(Path::new(model), repository).map_err(problem),
    }
}

/// The settings of a server with the model in this folder alone.
fn alone(folder: &Path, settings: &Settings) -> Settings {
    let tier = repository::manifest_in(folder).map_or(Tier::Deep, |manifest| manifest.tier);
    let only = |wanted: Tier| (tier == wanted).then(|| folder.to_owned());
    Settings {
        fast: only(Tier::Fast),
        deep: only(Tier::Deep),
        // They may be about models that are not there.
        tasks: BTreeMap::new(),
        default_task: None,
        ..settings.clone()
    }
}

/// A service of the model in this folder alone, and the name under which it answers.
fn of_folder(folder: &Path, settings: &Settings) -> Outcome<(String, Backend)> {
    let service = local(&alone(folder, settings), |_, _| true)?;
    let catalog = service.catalog();
    let version = catalog
        .versions()
        .next()
        .ok_or_else(|| failure("no model was loaded"))?;
    let name = format!("{}@{}", version.name(), version.version());
    Ok((name, Backend::Local(service)))
}

impl Contender {
    /// Asks for an answer to one text, to learn which models answer and what their labels are. It warms them up, too.
    async fn new(name: String, route: Option<RouteSetting>, question: Question, mut backend: Backend) -> Outcome<Self> {
        let probe = Fields {
            text: "a".to_owned(),
            ..Fields::default()
        };
        let mut models = Vec::new();
        let answers = question.ask(&mut backend, &[Ok(probe)], &mut models).await?;
        let named = |problem: &str| failure(format!("{name}: {problem}"));
        let answer = match answers.into_iter().next() {
            Some(Ok(answer)) => answer,
            Some(Err(problem)) => return Err(named(&problem)),
            None => return Err(named("no answer")),
        };
        if answer.value.is_some() {
            return Err(named(
                "it is a regression: it gives numbers, which can't be compared with labels",
            ));
        }
        // The order of the deep model's labels, where both models answer.
        let model = models.iter().max_by_key(|model| model.tier() == pb::Tier::Deep);
        let model = model.ok_or_else(|| named("the answer names no model"))?;
        let labels = backend.labels(&format!("{}@{}", model.name, model.version)).await;
        let labels = labels.map_err(|refusal| named(&refusal.message))?;
        Ok(Self {
            name,
            route,
            question,
            backend,
            labels,
            models,
            thresholds: Thresholds::default(),
        })
    }

    /// What it is: by its route, or by the tiers that answered where the task chose the route.
    pub fn kind(&self) -> Kind {
        let has = |tier: pb::Tier| self.models.iter().any(|model| model.tier() == tier);
        match self.route {
            _ if !self.question.model.is_empty() => Kind::Model,
            Some(RouteSetting::Fast) => Kind::Fast,
            Some(RouteSetting::Deep) => Kind::Deep,
            Some(RouteSetting::Cascade) => Kind::Cascade,
            None => match (has(pb::Tier::Fast), has(pb::Tier::Deep)) {
                (true, true) => Kind::Cascade,
                (true, false) => Kind::Fast,
                _ => Kind::Deep,
            },
        }
    }
}
