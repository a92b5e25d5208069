//! Models on a hub: what `hf://owner/name` names becomes a folder in the cache that all
//! programs which speak the hub's protocol share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use thiserror::Error;

/// What addresses on a hub begin with.
const SCHEME: &str = "hf://";

/// The branch that an address means when it names no revision.
const BRANCH: &str = "main";

/// How long a hub may say nothing before it counts as lost.
const SILENCE: Duration = Duration::from_secs(20);

/// The files of a model. Each line is names of one of them, the best first; and whether a model
/// can do without it.
const FILES: [(&[&str], bool); 4] = [
    (&["tokenizer_config.json"], true),
    (&["tokenizer.json", "vocab.txt"], false),
    (&["model.safetensors", "pytorch_model.bin"], false),
    (&["config.json"], false),
];

/// How far the fetching of one file of a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch<'a> {
    /// It is about to come.
    Begins {
        /// Its name.
        file: &'a str,
        /// Its length.
        bytes: u64,
    },
    /// So many bytes more are here.
    Came(u64),
    /// It is here, or has failed.
    Ended,
}

/// Is told how far a file is, on the thread that fetches it.
pub type OnFetch = Arc<dyn Fn(Fetch<'_>) + Send + Sync>;

/// Why a model is not there after it was asked of a hub.
#[derive(Debug, Error)]
pub enum HubError {
    /// The address names no model.
    #[error(
        "`{0}` is not the address of a model: write `hf://owner/name` or `hf://owner/name@revision`"
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
    /// The hub does not know the model, or gives it only to some.
    #[error("`{0}` is not on the hub, or not for everyone")]
    Unknown(String),
    /// The hub cannot be reached, or something broke.
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
            HubError::Missing { .. } | HubError::Unknown(_) => "model-missing",
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
            HubError::Unknown(_) => {
                Some("check the name; for a private model, log in with the hub's own program first")
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

/// The folder of the model at `address`, fetched unless the cache has all of it. What the cache
/// has is enough where the hub cannot be asked for the rest.
///
/// `HF_ENDPOINT` names another hub, and `HF_HOME` another folder for the cache.
///
/// # Errors
/// See [`HubError`]
pub fn folder(address: &str, on_fetch: Option<OnFetch>) -> Result<PathBuf, HubError> {
    let repo = repo(address).ok_or_else(|| HubError::Address(address.to_owned()))?;
    if std::env::var_os("HF_HOME").is_none() && std::env::home_dir().is_none() {
        return Err(HubError::Failed {
            address: address.to_owned(),
            why: "there is no home folder for the cache: set `HF_HOME`".to_owned(),
        });
    }
    let cache = || Cache::from_env().repo(repo.clone());
    if let Some(folder) = cached(&cache(), Whole::Best) {
        return Ok(folder);
    }
    let fetched = wait(Model {
        address: address.to_owned(),
        cache: cache(),
        repo: repo.clone(),
        on_fetch,
    });
    fetched
        .and_then(|()| {
            cached(&cache(), Whole::Enough).ok_or_else(|| HubError::Failed {
                address: address.to_owned(),
                why: "it changed meanwhile".to_owned(),
            })
        })
        .or_else(|error| cached(&cache(), Whole::Enough).ok_or(error))
}

/// Fetches `model` on a thread of its own, for a request cannot be given a time to end by: one
/// that hangs is left behind.
fn wait(model: Model) -> Result<(), HubError> {
    let (events, happened) = unbounded();
    let address = model.address.clone();
    std::thread::spawn(move || {
        let result = model.fetch(&events);
        // Nobody waits any more when the hub was silent for too long.
        let _ = events.send(Event::Done(result));
    });
    loop {
        match happened.recv_timeout(SILENCE) {
            Ok(Event::Moves) => {}
            Ok(Event::Done(result)) => return result,
            Err(RecvTimeoutError::Timeout) => return Err(HubError::Silent(address)),
            Err(RecvTimeoutError::Disconnected) => {
                let why = "what fetched it broke off".to_owned();
                return Err(HubError::Failed { address, why });
            }
        }
    }
}

/// When a folder in the cache will do.
#[derive(Clone, Copy, PartialEq)]
enum Whole {
    /// With the best of each file.
    Best,
    /// With any of each file that a model needs.
    Enough,
}

fn cached(cache: &CacheRepo, whole: Whole) -> Option<PathBuf> {
    let there = |name: &&str| cache.get(name).is_some();
    let has = |(names, optional): &(&[&str], bool)| match whole {
        Whole::Best => there(&names[0]),
        Whole::Enough => *optional || names.iter().any(there),
    };
    let config = cache.get("config.json").filter(|_| FILES.iter().all(has))?;
    config.parent().map(PathBuf::from)
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
    /// The hub is not silent.
    Moves,
    Done(Result<(), HubError>),
}

struct Model {
    address: String,
    repo: Repo,
    cache: CacheRepo,
    on_fetch: Option<OnFetch>,
}

impl Model {
    /// Fetches what of it is not in the cache.
    fn fetch(&self, events: &Sender<Event>) -> Result<(), HubError> {
        let api = ApiBuilder::from_env().with_progress(false).build();
        let api = api.map_err(|e| self.failed(&e))?.repo(self.repo.clone());
        // Twice, for the first file fetched may show that those in the cache are of another commit.
        for _ in 0..2 {
            let info = api.info().map_err(|e| self.failed(&e))?;
            for (names, optional) in FILES {
                // Nobody listens when the hub was silent for too long.
                let _ = events.send(Event::Moves);
                let there =
                    |name: &&&str| info.siblings.iter().any(|file| file.rfilename == **name);
                match names.iter().find(there) {
                    Some(name) => self.fetch_file(&api, name, events)?,
                    None if optional => {}
                    None => {
                        return Err(HubError::Missing {
                            address: self.address.clone(),
                            file: names.join("` or `"),
                        });
                    }
                }
            }
            if cached(&self.cache, Whole::Enough).is_some() {
                break;
            }
        }
        Ok(())
    }

    fn fetch_file(
        &self,
        api: &ApiRepo,
        name: &str,
        events: &Sender<Event>,
    ) -> Result<(), HubError> {
        while self.cache.get(name).is_none() {
            let watched = Watched {
                events: events.clone(),
                on_fetch: self.on_fetch.clone(),
            };
            match api.download_with_progress(name, watched) {
                Ok(_) => break,
                // Another process fetches it; it may be faster.
                Err(ApiError::LockAcquisition(_)) => {
                    let _ = events.send(Event::Moves);
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(())
    }

    fn failed(&self, error: &ApiError) -> HubError {
        let address = self.address.clone();
        let why = error.to_string();
        let refused = |status: &&str| why.ends_with(&format!("http status: {status}"));
        if ["401", "403", "404"].iter().any(refused) {
            HubError::Unknown(address)
        } else {
            HubError::Failed { address, why }
        }
    }
}

/// One file on its way, and word that something came.
struct Watched {
    events: Sender<Event>,
    on_fetch: Option<OnFetch>,
}

impl Watched {
    fn tell(&self, fetch: Fetch<'_>) {
        self.on_fetch.iter().for_each(|tell| tell(fetch));
    }
}

impl Progress for Watched {
    fn init(&mut self, size: usize, file: &str) {
        let bytes = size as u64;
        self.tell(Fetch::Begins { file, bytes });
    }

    fn update(&mut self, size: usize) {
        // Nobody listens when the hub was silent for too long.
        let _ = self.events.send(Event::Moves);
        self.tell(Fetch::Came(size as u64));
    }

    /// What is left over is done when this is dropped, which a failure does too.
    fn finish(&mut self) {}
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tell(Fetch::Ended);
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
