//! `tandem models`: what an operator asks and commands at a server's admin port. The server decides; this calls it and
//! prints. With several servers, [`fleet`] compares what they have, and walks from one to the next with a command.

mod fleet;
mod print;

use super::admin_args::{AdminArgs, AdminServer, told};
use super::client::Connection;
use super::config_args::ConfigArgs;
use super::exit::Exit;
use super::output::{complain, fail};
use crate::api::pb;
use crate::api::pb::admin_service_client::AdminServiceClient;
use crate::api::pb::model_service_client::ModelServiceClient;
use crate::config::Settings;
use crate::model::model_name::ModelName;
use print::Printer;

/// The arguments of `tandem models`.
#[derive(clap::Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    action: Action,
    /// How to reach the server.
    #[command(flatten)]
    admin: AdminArgs,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the loaded versions
    List,
    /// Show a model: what it is, its versions, its canary
    Show {
        /// The model, or one version of it
        #[arg(value_name = "NAME[@VERSION]", value_parser = model)]
        model: ModelName,
    },
    /// Look for new versions in the repository; exit code 1 if one was refused
    Reload,
    /// Make a version stable, and keep it so; without a version, the newest, now and after every reload
    Promote {
        /// The version
        #[arg(value_name = "NAME[@VERSION]", value_parser = model)]
        model: ModelName,
    },
    /// Get away from the canary, or else from the stable version
    #[command(name = "rollback")]
    RollBack {
        /// The model, or the very version to get away from
        #[arg(value_name = "NAME[@VERSION]", value_parser = model)]
        model: ModelName,
    },
    /// Give a share of the clients to a version, or end that
    Canary {
        /// The version; its model is enough to end it
        #[arg(value_name = "NAME[@VERSION]", value_parser = model)]
        model: ModelName,
        /// The share of the clients, from 0 to 1; 0 ends it
        #[arg(long, value_name = "SHARE", required_unless_present = "end", conflicts_with = "end")]
        share: Option<f64>,
        /// End it; the version stays loaded
        #[arg(long)]
        end: bool,
    },
    /// Load a version beside the stable one, for requests that name it
    Load {
        /// The version
        #[arg(value_name = "NAME@VERSION", value_parser = version)]
        model: ModelName,
    },
    /// Let a version go that is not stable
    Unload {
        /// The version
        #[arg(value_name = "NAME@VERSION", value_parser = version)]
        model: ModelName,
    },
}

fn model(text: &str) -> Result<ModelName, String> {
    ModelName::parse(text)
        .ok_or_else(|| "must be NAME or NAME@VERSION, each of them [a-z0-9][a-z0-9_-]{0,62}".to_owned())
}

fn version(text: &str) -> Result<ModelName, String> {
    let with_version = model(text)?;
    match with_version.version {
        Some(_) => Ok(with_version),
        None => Err("must be NAME@VERSION".to_owned()),
    }
}

/// Calls the server and prints its answer.
pub fn run(args: &ModelsArgs) -> Exit {
    let settings = match args.config.resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let tokio = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => return fail(&error, Exit::Failure),
    };
    let printer = Printer {
        json: args.json,
        server: None,
    };
    match tokio.block_on(act(args, &settings, &printer)) {
        Ok(exit) => exit,
        Err(problem) => fail(&problem, Exit::Failure),
    }
}

async fn act(args: &ModelsArgs, settings: &Settings, printer: &Printer) -> Result<Exit, String> {
    let servers = args.admin.servers(settings).await?;
    match (&servers[..], &args.action) {
        ([server], action) => act_on(&mut connect(&args.admin, server, settings).await?, action, printer).await,
        // Each server would be asked anew which version that is, and may have followed another by then.
        (_, Action::RollBack { model }) if model.version.is_none() => {
            Err("several servers: name the version to get away from, NAME@VERSION".to_owned())
        }
        (servers, Action::List) => fleet::list(&args.admin, servers, settings, printer).await,
        (servers, action) => fleet::walk(&args.admin, servers, settings, action, printer).await,
    }
}

/// The clients of one connection.
struct Clients<'a> {
    models: ModelServiceClient<Connection>,
    admin: AdminServiceClient<Connection>,
    args: &'a AdminArgs,
}

async fn connect<'a>(args: &'a AdminArgs, server: &AdminServer, settings: &Settings) -> Result<Clients<'a>, String> {
    let connection = args.connect_to(server, settings).await?;
    Ok(Clients {
        models: ModelServiceClient::new(connection.clone()),
        admin: AdminServiceClient::new(connection),
        args,
    })
}

/// Does it at one server.
async fn act_on(clients: &mut Clients<'_>, action: &Action, printer: &Printer) -> Result<Exit, String> {
    match action {
        Action::List => printer.list(&clients.list().await?),
        Action::Show { model } => printer.show(&clients.get(model).await?),
        Action::Reload => {
            let request = clients.within(pb::ReloadModelsRequest {});
            let report = told(clients.admin.reload_models(request).await)?;
            printer.reload(&report);
            return Ok(if print::all_went_well(&report) {
                Exit::Success
            } else {
                Exit::Failure
            });
        }
        Action::Promote { model } => {
            let ModelName { name, version } = model.clone();
            let version = version.unwrap_or_default();
            let request = clients.within(pb::PromoteModelRequest { name, version });
            let answer = told(clients.admin.promote_model(request).await)?;
            changed(printer, answer.versions.as_ref(), &answer.warning, &answer);
        }
        Action::RollBack { model } => {
            let request = pb::RollBackModelRequest {
                name: model.name.clone(),
                version: clients.version_to_leave(model).await?,
            };
            let request = clients.within(request);
            let answer = told(clients.admin.roll_back_model(request).await)?;
            changed(printer, answer.versions.as_ref(), &answer.warning, &answer);
        }
        Action::Canary { model, share, .. } => {
            let ModelName { name, version } = model.clone();
            let request = clients.within(pb::SetCanaryRequest {
                name,
                version: version.unwrap_or_default(),
                share: share.unwrap_or(0.0),
            });
            let answer = told(clients.admin.set_canary(request).await)?;
            changed(printer, answer.versions.as_ref(), &answer.warning, &answer);
        }
        Action::Load { model } => {
            let ModelName { name, version } = model.clone();
            let version = version.unwrap_or_default();
            let request = clients.within(pb::LoadModelRequest { name, version });
            let answer = told(clients.admin.load_model(request).await)?;
            changed(printer, answer.versions.as_ref(), &answer.warning, &answer);
        }
        Action::Unload { model } => {
            let ModelName { name, version } = model.clone();
            let version = version.unwrap_or_default();
            let request = clients.within(pb::UnloadModelRequest { name, version });
            let answer = told(clients.admin.unload_model(request).await)?;
            changed(printer, answer.versions.as_ref(), &answer.warning, &answer);
        }
    }
    Ok(Exit::Success)
}

impl Clients<'_> {
    fn within<T>(&self, message: T) -> tonic::Request<T> {
        self.args.within(message)
    }

    /// Every loaded version, from all pages.
    async fn list(&mut self) -> Result<pb::ListModelsResponse, String> {
        let mut all = pb::ListModelsResponse::default();
        let mut page_token = String::new();
        loop {
            let page_size = 0;
            let request = self.within(pb::ListModelsRequest { page_size, page_token });
            let page = told(self.models.list_models(request).await)?;
            all.models.extend(page.models);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    async fn get(&mut self, model: &ModelName) -> Result<pb::GetModelResponse, String> {
        let name = model.to_string();
        let request = self.within(pb::GetModelRequest { name });
        told(self.models.get_model(request).await)
    }

    /// The version to roll back: the named one, or else the present canary, or else the present stable version. It is
    /// sent by its name, so that repeating the command rolls back only once.
    async fn version_to_leave(&mut self, model: &ModelName) -> Result<String, String> {
        if let Some(version) = &model.version {
            return Ok(version.clone());
        }
        let versions = self.get(model).await?.versions.unwrap_or_default();
        let of = |role| versions.versions.iter().find(|version| version.role() == role);
        let leaving = of(pb::VersionRole::Canary).or_else(|| of(pb::VersionRole::Stable));
        Ok(leaving.map(|version| version.version.clone()).unwrap_or_default())
    }
}

fn changed<T: prost::Message + prost::Name>(
    printer: &Printer,
    versions: Option<&pb::ModelVersions>,
    warning: &str,
    answer: &T,
) {
    printer.changed(versions, answer);
    if !warning.is_empty() {
        complain(&format!("warning: {warning}"));
    }
}
