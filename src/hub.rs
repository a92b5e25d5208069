//! Models on a hub: what `hf://owner/name` names becomes a folder in the cache that all
//! programs which speak the hub's protocol share.

use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::api::{Progress, RepoInfo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use indicatif::ProgressBar;
use thiserror::Error;

/// What addresses on a hub begin with.
const SCHEME: &str = "hf://";

/// The branch that an address means when it names no revision.
const BRANCH: &str = "main";

/// How long a hub may say nothing before it counts as lost.
const SILENCE: Duration = Duration::from_secs(20);

/// A model's files: of each line the first that there is; and whether it can do without.
const FILES: [(&[&str], bool); 4] = [
    (&["config.json"], false),
    (&["model.safetensors", "pytorch_model.bin"], false),
    (&["tokenizer.json", "vocab.txt"], false),
    (&["tokenizer_config.json"], true),
];

/// Why a model cannot be had from a hub.
#[derive(Debug, Error)]
pub enum HubError {
    /// The address names no model.
    #[error(
        "`{0}` is no address of a model: write `hf://owner/name` or `hf://owner/name@revision`"
    )]
    Address(String),
    /// A file of every model is not there.
    #[error("`{address}` has no `{file}`")]
    Missing {
        /// The model's.
        address: String,
        /// One of the names it could have.
        file: String,
    },
    /// The hub cannot be reached, or does not know the model.
    #[error("cannot fetch `{address}`: {why}")]
    Failed {
        /// The model's.
        address: String,
        /// What the hub or the network said.
        why: String,
    },
    /// Nothing came.
    #[error("cannot fetch `{0}`: the hub has said nothing for {seconds} seconds", seconds = SILENCE.as_secs())]
    Silent(String),
}

impl HubError {
    /// As in [`Diagnostic`](crate::diagnostic::Diagnostic).
    pub fn code(&self) -> &'static str {
        match self {
            HubError::Address(_) => "bad-address",
            HubError::Missing { .. } => "model-missing",
            HubError::Failed { .. } | HubError::Silent(_) => "hub-failed",
        }
    }

    /// What to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            HubError::Address(_) => None,
            HubError::Missing { .. } => {
                Some("another revision may have it: `hf://owner/name@revision`")
            }
            HubError::Failed { .. } | HubError::Silent(_) => Some(
                "fetch its folder where there is a network, and give the folder's path instead",
            ),
        }
    }
}

/// Whether `text` is meant as an address on a hub, and no path.
pub fn is_address(text: &str) -> bool {
    text.starts_with(SCHEME)
}

/// The folder of the model at `address`, fetched unless the cache has it.
///
/// `HF_ENDPOINT` names another hub, and `HF_HOME` another folder for the cache.
///
/// # Errors
/// See [`HubError`]
pub fn folder(address: &str) -> Result<PathBuf, HubError> {
    let repo = repo(address).ok_or_else(|| HubError::Address(address.to_owned()))?;
    let (events, happened) = unbounded();
    let model = Model {
        address: address.to_owned(),
        cache: Cache::from_env().repo(repo.clone()),
        repo,
        events: events.clone(),
    };
    // A thread of its own, for a request cannot be given a time to end by; one that hangs is left
    // behind.
    std::thread::spawn(move || {
        // Nobody waits any more when the hub was silent for too long.
        let _ = events.send(Event::Done(model.folder()));
    });
    loop {
        match happened.recv_timeout(SILENCE) {
            Ok(Event::Bytes) => {}
            Ok(Event::Done(folder)) => return folder,
            Err(RecvTimeoutError::Timeout) => return Err(HubError::Silent(address.to_owned())),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(HubError::Failed {
                    address: address.to_owned(),
                    why: "what fetched it broke off".to_owned(),
                });
            }
        }
    }
}

/// `hf://owner/name@revision`, taken apart.
fn repo(address: &str) -> Option<Repo> {
    let rest = address.strip_prefix(SCHEME)?;
    let (id, revision) = rest.split_once('@').unwrap_or((rest, BRANCH));
    let (owner, name) = id.split_once('/')?;
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let word = |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let good = |text: &str| word(text) && text.chars().all(letter) && !text.contains("..");
    let known = revision.split('/').all(good);
    (good(owner) && good(name) && known)
        .then(|| Repo::with_revision(id.to_owned(), RepoType::Model, revision.to_owned()))
}

enum Event {
    /// Some came.
    Bytes,
    Done(Result<PathBuf, HubError>),
}

struct Model {
    address: String,
    repo: Repo,
    cache: CacheRepo,
    events: Sender<Event>,
}

impl Model {
    fn folder(&self) -> Result<PathBuf, HubError> {
        if let Some(folder) = self.cached() {
            return Ok(folder);
        }
        let api = ApiBuilder::from_env().with_progress(false).build();
        let api = api.map_err(|e| self.failed(&e))?.repo(self.repo.clone());
        let info = api.info().map_err(|e| self.failed(&e))?;
        for (names, optional) in FILES {
            self.fetch(&api, &info, names, optional)?;
        }
        self.cached().ok_or_else(|| HubError::Failed {
            address: self.address.clone(),
            why: "it changed meanwhile".to_owned(),
        })
    }

    /// The folder, if all that is needed is in it.
    fn cached(&self) -> Option<PathBuf> {
        let mut needed = FILES.iter().filter(|(_, optional)| !optional);
        let whole =
            needed.all(|(names, _)| names.iter().any(|name| self.cache.get(name).is_some()));
        let config = self.cache.get("config.json").filter(|_| whole)?;
        config.parent().map(PathBuf::from)
    }

    fn fetch(
        &self,
        api: &ApiRepo,
        info: &RepoInfo,
        names: &[&str],
        optional: bool,
    ) -> Result<(), HubError> {
        let there = |name: &&&str| info.siblings.iter().any(|file| file.rfilename == **name);
        let Some(name) = names.iter().find(there) else {
            return match optional {
                true => Ok(()),
                false => Err(HubError::Missing {
                    address: self.address.clone(),
                    file: names.join("` or `"),
                }),
            };
        };
        if self.cache.get(name).is_none() {
            let progress = Shown {
                events: self.events.clone(),
                bar: ProgressBar::new(0),
            };
            let fetched = api.download_with_progress(name, progress);
            fetched.map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }

    fn failed(&self, error: &ApiError) -> HubError {
        HubError::Failed {
            address: self.address.clone(),
            why: error.to_string(),
        }
    }
}

/// A progress bar on a terminal, and word that something came.
struct Shown {
    events: Sender<Event>,
    bar: ProgressBar,
}

impl Progress for Shown {
    fn init(&mut self, size: usize, filename: &str) {
        Progress::init(&mut self.bar, size, filename);
    }

    fn update(&mut self, size: usize) {
        // Nobody listens when the hub was silent for too long.
        let _ = self.events.send(Event::Bytes);
        Progress::update(&mut self.bar, size);
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parts = |address: &str| {
            let repo = repo(address)?;
            Some((repo.url(), repo.revision().to_owned()))
        };
        let some = |id: &str, revision: &str| Some((id.to_owned(), revision.to_owned()));
        assert_eq!(parts("hf://a/b-1.0_x"), some("a/b-1.0_x", "main"));
        assert_eq!(parts("hf://a/b@refs/pr/2"), some("a/b", "refs/pr/2"));
        for bad in [
            "hf://",
            "hf://a",
            "hf://a/",
            "hf:///b",
            "hf://a/b/c",
            "hf://../b",
            "hf://a/..",
            "hf://a/b@",
            "hf://a/b@../..",
            "hf://a b/c",
            "a/b",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
