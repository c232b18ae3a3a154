//! The assembled set of components: what one session works with.

use std::{path::PathBuf, sync::Arc};

use aikit_core::{
    Context, Result,
    context::{ChannelService, Channels, Overrides, Principal},
    event::EventBus,
    hook::HookRegistry,
    logger,
    services::{Ask, Files, Policy, Services},
    tool::ToolContext,
};

use crate::{
    config::{Config, Variables},
    event_log::EventLog,
    hooks as built_in,
    http::GuardedClient,
    models::{
        Catalogue,
        cassette::{self, Deck},
    },
    project::Project,
    security::{
        hosts::HostRule,
        offline::{NetworkSwitch, OfflinePolicy},
        policy::{Profile, TablePolicy},
        process::ProcessGuard,
        questions::QuestionGuard,
        roots,
        sandbox::PathGuard,
    },
    sessions::Sessions,
    telemetry, tools,
};

/// What a host gives for a session.
pub struct Setup {
    /// Who uses this process; the configuration can narrow it to `served`.
    pub profile: Profile,
    /// Folder that relative paths start at.
    pub working_directory: PathBuf,
    /// The environment: keys of providers, settings.
    pub variables: Variables,
    /// Whom to ask for approvals; `None` when nobody is there.
    pub ask: Option<Arc<dyn Ask>>,
    /// On whose behalf the session runs.
    pub principal: Principal,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("profile", &self.profile)
            .field("working_directory", &self.working_directory)
            .finish_non_exhaustive()
    }
}

/// What a session hands on to one that follows it in the same process.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// The place for a cassette.
    pub deck: Arc<Deck>,
    /// Closes the network.
    pub network: Arc<NetworkSwitch>,
    /// Where channels are found; those of a session of its own when `None`.
    pub channels: Option<Arc<dyn ChannelService>>,
    /// The bus of events; one of its own when `None`.
    pub events: Option<Arc<EventBus>>,
    /// The hooks that stand around calls.
    pub hooks: Arc<HookRegistry>,
}

impl Carried {
    /// What `components` hands on.
    pub fn of(components: &Components) -> Self {
        Self {
            deck: Arc::clone(&components.deck),
            network: Arc::clone(&components.network),
            channels: components.context.channels().cloned(),
            events: Some(Arc::clone(components.context.events())),
            hooks: Arc::clone(components.context.hooks()),
        }
    }

    /// What the session of a forked child goes on with of its parent's: events and channels, whose
    /// functions are called there too. Where a thread of the parent was inside as it forked they
    /// begin anew, which is told by a warning.
    pub fn of_parent(parent: &Components) -> Self {
        let (events, channels) = (parent.context.events(), parent.context.channels());
        if !events.is_free() || channels.is_some_and(|it| !it.is_free()) {
            tracing::warn!(
                "a forked process begins without the subscriptions of its parent, which was \
                 publishing as it forked: subscribe there"
            );
            return Self::default();
        }
        Self {
            channels: channels.cloned(),
            events: Some(Arc::clone(events)),
            ..Self::default()
        }
    }

    fn root_context(self, principal: Principal) -> Context {
        let own = || Arc::new(Channels::default()) as Arc<dyn ChannelService>;
        Context::create(Overrides {
            principal: Some(principal),
            clock: Some(cassette::clock(&self.deck)),
            tape: Some(self.deck),
            channels: Some(self.channels.unwrap_or_else(own)),
            events: self.events,
            hooks: Some(self.hooks),
            ..Overrides::default()
        })
    }
}

/// The components of one session.
#[derive(Clone, Debug)]
pub struct Components {
    /// What tools may touch.
    pub services: Arc<Services>,
    /// The tools of the session: the built-in ones and the user's.
    pub tools: tools::Registry,
    /// The root Context of the session.
    pub context: Context,
    /// Folder that relative paths start at, links resolved.
    pub working_directory: PathBuf,
    /// The store of the project.
    pub project: Project,
    /// The events that the project keeps.
    pub event_log: EventLog,
    /// The sessions that the project keeps.
    pub sessions: Sessions,
    /// What built-in hooks need.
    pub hook_host: built_in::Host,
    /// The place for a cassette.
    pub deck: Arc<Deck>,
    /// Closes the network.
    pub network: Arc<NetworkSwitch>,
    /// The configuration that was read.
    pub config: Arc<Config>,
}

impl Components {
    /// Reads the configuration and puts a session together; starts nothing, but what keeps events
    /// where the configuration asks for it.
    ///
    /// # Errors
    ///
    /// `config` for a setting that is wrong or a folder that cannot be read.
    pub fn assemble(setup: Setup) -> Result<Self> {
        Self::assemble_with(setup, Carried::default())
    }

    /// As [`Components::assemble`], with what a session before hands on: one that goes on in
    /// another folder keeps its cassette, its conversations, its subscribers and its hooks.
    ///
    /// # Errors
    ///
    /// As of [`Components::assemble`].
    pub fn assemble_with(setup: Setup, carried: Carried) -> Result<Self> {
        let (deck, network) = (Arc::clone(&carried.deck), Arc::clone(&carried.network));
        let hooks = Arc::clone(&carried.hooks);
        let config = Config::load(&setup.working_directory, &setup.variables, setup.profile)?;
        logger::set_scrubber(cassette::SCRUBBER);
        telemetry::apply(&config, &network)?;
        let mut folders = vec![setup.working_directory];
        folders.extend_from_slice(&config.security.roots);
        folders.extend_from_slice(&config.security.write_roots);
        let roots = roots::resolve(&folders)?;
        let write_roots = roots[roots.len() - config.security.write_roots.len()..].to_vec();
        let hosts = config
            .security
            .hosts
            .iter()
            .map(|host| HostRule::parse(host));
        let profile = narrowed(setup.profile, &config);
        if profile == Profile::Served {
            hooks.seal();
        }
        let working_directory = roots[0].clone();
        let policy = TablePolicy::new(profile, roots.clone(), hosts.collect::<Result<_>>()?)
            .with_model_hosts(Catalogue::owners_hosts(&setup.variables))
            .with_write_roots(write_roots);
        let policy: Arc<dyn Policy> =
            Arc::new(OfflinePolicy::new(Arc::new(policy), Arc::clone(&network)));
        // The home folder of a server is of no concern to its users.
        let home = config.home.clone().filter(|_| profile == Profile::Notebook);
        let files = PathGuard::new(&roots, Arc::clone(&policy), setup.ask.clone())?;
        let files = files.with_home(home.clone());
        let files: Arc<dyn Files> = Arc::new(files);
        let place = (working_directory.clone(), setup.variables.clone());
        let processes = ProcessGuard::new(
            Arc::clone(&policy),
            setup.ask.clone(),
            Arc::clone(&files),
            place,
        );
        let http = GuardedClient::new(Arc::clone(&policy), setup.ask.clone());
        let http = Arc::new(http);
        let models = Catalogue::new(setup.variables, config.models.clone(), Arc::clone(&http))?
            .with_deck(Arc::clone(&deck));
        let hook_host = built_in::Host::asking(setup.ask.clone());
        built_in::configure(&hooks, &hook_host, &config.hooks)?;
        let services = Services {
            policy: Some(policy),
            files: Some(files),
            processes: Some(Arc::new(processes)),
            http: Some(http),
            ask: setup.ask.map(|it| Arc::new(QuestionGuard::new(it)) as _),
            models: Some(Arc::new(models)),
        };
        let project = Project::with_home(working_directory.clone(), profile, home);
        let context = carried.root_context(setup.principal);
        Ok(Self {
            event_log: EventLog::start(project.clone(), &config.events, &context)?,
            sessions: Sessions::new(project.clone()),
            project,
            services: Arc::new(services),
            tools: tools::Registry::with_built_ins(),
            context,
            working_directory,
            hook_host,
            deck,
            network,
            config: Arc::new(config),
        })
    }

    /// What a call of the session's owner is given.
    pub fn tool_context(&self) -> ToolContext {
        ToolContext {
            context: self.context.clone(),
            services: Arc::clone(&self.services),
        }
    }
}

/// The configuration can narrow the profile that the host chose, never widen it.
fn narrowed(chosen: Profile, config: &Config) -> Profile {
    match chosen {
        Profile::Served => Profile::Served,
        Profile::Notebook => config.security.profile.unwrap_or(Profile::Notebook),
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::{ErrorKind, io};

    use super::*;

    fn setup(folder: &std::path::Path) -> Setup {
        Setup {
            profile: Profile::Notebook,
            working_directory: folder.to_owned(),
            variables: Variables::none(),
            ask: None,
            principal: Principal::default(),
        }
    }

    #[test]
    fn a_session_has_its_tools_and_services_without_any_setting() {
        let folder = tempfile::tempdir().unwrap();
        let components = Components::assemble(setup(folder.path())).unwrap();
        assert!(components.tools.find("count_words").is_ok());
        assert!(components.services.files().is_ok() && components.services.models().is_ok());
        assert!(components.services.ask().is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("aikit.toml"),
            "[security]\nroots = [\"none\"]\n",
        )
        .unwrap();
        let error = Components::assemble(setup(folder.path())).unwrap_err();
        assert!(error.message().contains("none"), "{error}");
    }

    #[test]
    fn a_root_below_the_home_folder_is_read_and_nothing_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for name in ["work/aikit.toml", "data/a.txt", "secret.txt"] {
            let file = home.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "[security]\nroots = [\"~/data\"]\n").unwrap();
        }
        let open = |profile| {
            let components = Components::assemble(Setup {
                profile,
                variables: Variables::of([("HOME", home.to_string_lossy())]),
                ..setup(&home.join("work"))
            });
            components.unwrap()
        };
        let kind = |components: &Components, path: &'static str| {
            let cx = components.tool_context();
            let read = async move {
                let files = cx.services.files()?;
                files.read(&cx.context, path, 0, 10).await
            };
            let read = io::wait(read, || Ok(())).flatten();
            read.err().map(|error| error.kind())
        };
        let notebook = open(Profile::Notebook);
        assert_eq!(kind(&notebook, "~/data/a.txt"), None);
        assert_eq!(kind(&notebook, "~/secret.txt"), Some(ErrorKind::Denied));
        // A server's home folder is told to nobody.
        let served = open(Profile::Served);
        assert_eq!(kind(&served, "~/data/a.txt"), Some(ErrorKind::NotFound));
    }
}
