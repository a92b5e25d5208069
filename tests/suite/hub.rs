//! Models from a hub: a server here speaks the part of its protocol that is needed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::harness::{Project, Ran, reviews};
use crate::tiny::Tiny;

const COMMIT: &str = "5eec0de5eec0de5eec0de5eec0de5eec0de5eec0";

/// How a server answers.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// As the hub does.
    Well,
    /// Each file's second half only to those who ask for it from there.
    Halves,
    /// Not at all.
    Silent,
}

/// A hub with one model, `someone/tiny`; it ends with the test's process.
struct Hub {
    address: SocketAddr,
    /// The first lines of all requests.
    asked: Arc<Mutex<Vec<String>>>,
}

/// What the threads of a server need.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    files: Arc<Vec<(String, Vec<u8>)>>,
    mood: Mood,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    /// A hub that has what is in the folder `base` of `project`, but for `without`.
    fn start(project: &Project, without: &str, mood: Mood) -> Self {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(project.path("base")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name != without {
                files.push((name, std::fs::read(entry.path()).unwrap()));
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            files: Arc::new(files),
            mood,
            asked: Arc::default(),
        };
        let hub = Hub {
            address: server.address,
            asked: Arc::clone(&server.asked),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.answer(stream));
            }
        });
        hub
    }

    fn run(&self, project: &Project, arguments: &[&str]) -> Ran {
        run(project, arguments, &format!("http://{}", self.address))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Server {
    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let mut from = 0;
        for line in lines
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
        {
            let line = line.to_ascii_lowercase();
            if let Some(range) = line.strip_prefix("range: bytes=") {
                from = range.split('-').next().unwrap().parse().unwrap();
            }
        }
        let path = first.split(' ').nth(1).unwrap().to_owned();
        self.asked.lock().unwrap().push(format!("{path} {from}"));
        if self.mood == Mood::Silent {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        }
        // Whoever asked may be gone.
        let _ = self.give(&mut stream, &path, from);
    }

    fn give(&self, stream: &mut TcpStream, path: &str, from: usize) -> std::io::Result<()> {
        if path == "/api/models/someone/tiny/revision/main" {
            let files = self
                .files
                .iter()
                .map(|(name, _)| json!({"rfilename": name}));
            let info = json!({"sha": COMMIT, "siblings": files.collect::<Vec<_>>()}).to_string();
            let length = info.len();
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{info}"
            );
        }
        let large = path.strip_prefix("/store/");
        let name = large.or(path.strip_prefix("/someone/tiny/resolve/main/"));
        let file = self
            .files
            .iter()
            .find(|(file, _)| Some(file.as_str()) == name);
        let Some((name, bytes)) = file else {
            return write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        };
        let tags = format!("X-Repo-Commit: {COMMIT}\r\nConnection: close\r\n");
        // Large files lie elsewhere.
        if name == "model.safetensors" && large.is_none() {
            let to = format!("http://{}/store/{name}", self.address);
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nX-Linked-Etag: \"etag-{name}\"\r\n{tags}Content-Length: 0\r\n\r\n"
            );
        }
        let (total, rest) = (bytes.len(), &bytes[from..]);
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nETag: \"etag-{name}\"\r\nContent-Range: bytes {from}-{}/{total}\r\nContent-Length: {}\r\n{tags}\r\n",
            total - 1,
            rest.len()
        )?;
        let half = total / 2;
        if self.mood == Mood::Halves && from < half {
            stream.write_all(&rest[..half - from])
        } else {
            stream.write_all(rest)
        }
    }
}

fn run(project: &Project, arguments: &[&str], endpoint: &str) -> Ran {
    let home = project.path("home");
    let home = home.to_str().unwrap();
    project.run_with(arguments, &[("HF_ENDPOINT", endpoint), ("HF_HOME", home)])
}

/// A graph that judges with `model`, and the model as folder `base`.
fn judge() -> Project {
    let graph = "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"hf://someone/tiny\"
with.max-tokens = 24
[stage.encoder]
plugin = \"bert\"
from = \"tokenize\"
with.model = \"hf://someone/tiny\"
split = 2
[stage.verdict]
plugin = \"aggregator\"
from = \"encoder\"
[stage.out]
plugin = \"write\"
from = \"verdict\"
with.path = \"out.jsonl\"
";
    let project = Project::with_graph(graph).file("reviews.csv", reviews(40));
    project.model("base", Tiny::default())
}

const JUDGE: [&str; 2] = ["run", "graph.toml"];

#[test]
fn a_model_is_fetched_once_and_judges_as_its_folder_does() {
    let project = judge();
    let local = [
        "--set",
        "tokenize.model=base",
        "--set",
        "encoder.model=base",
    ];
    project.run_graph(&local);
    let expected = project.read("out.jsonl");
    let hub = Hub::start(&project, "", Mood::Well);
    let devices = [&JUDGE[..], &["--devices", "2"]].concat();
    for arguments in [&JUDGE[..], &devices] {
        std::fs::remove_file(project.path("out.jsonl")).unwrap();
        hub.run(&project, arguments).ok();
        assert_eq!(project.read("out.jsonl"), expected);
    }
    let weights = |asked: &String| asked.starts_with("/store/model.safetensors");
    // Once for its size, once for itself.
    assert_eq!(hub.asked().iter().filter(|asked| weights(asked)).count(), 2);
    // And without any network.
    run(&project, &JUDGE, "http://127.0.0.1:1").ok();
}

#[test]
fn training_begins_with_a_fetched_model() {
    let graph = "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
with.epochs = 2
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"hf://someone/tiny\"
with.max-tokens = 24
[stage.train]
plugin = \"finetune\"
from = \"tokenize\"
with.model = \"hf://someone/tiny\"
with.output = \"made\"
[stage.log]
plugin = \"write\"
from = \"train\"
with.path = \"log.jsonl\"
";
    let project = judge().file("graph.toml", graph);
    let hub = Hub::start(&project, "", Mood::Well);
    hub.run(&project, &JUDGE).ok();
    let made = project.bytes("made/model.safetensors");
    project.run_graph(&["--set", "tokenize.model=base", "--set", "train.model=base"]);
    assert!(project.bytes("made/model.safetensors") == made);
}

#[test]
fn a_transfer_that_broke_goes_on() {
    let project = judge();
    let hub = Hub::start(&project, "", Mood::Halves);
    // Each try ends one half of one of the three files.
    let ends = (0..8).map(|_| hub.run(&project, &JUDGE));
    let mut broken = 0;
    for ran in ends {
        match ran.code {
            Some(0) => break,
            _ => broken += 1,
        }
        let text = ran.failed(2);
        assert!(
            text.contains("error[hub-failed]: cannot fetch `hf://someone/tiny`"),
            "{text}"
        );
    }
    assert_eq!(broken, 3);
    let half = project.bytes("base/model.safetensors").len() / 2;
    assert!(
        hub.asked()
            .contains(&format!("/store/model.safetensors {half}"))
    );
    assert_eq!(project.read("out.jsonl").lines().count(), 40);
}

#[test]
fn what_the_hub_does_not_have() {
    let project = judge();
    let hub = Hub::start(&project, "model.safetensors", Mood::Well);
    let one = ["check", "graph.toml", "--set", "encoder.model=base"];
    let parts = [
        "`hf://someone/tiny` has no `model.safetensors` or `pytorch_model.bin`",
        "revision",
    ];
    hub.run(&project, &one)
        .failed_with(2, "model-missing", &parts);
    let other = [&one[..], &["--set", "tokenize.model=hf://someone/else"]].concat();
    let parts = ["`hf://someone/else` is not on the hub", "check the name"];
    hub.run(&project, &other)
        .failed_with(2, "model-missing", &parts);
    let odd = [&one[..], &["--set", "tokenize.model=hf://tiny"]].concat();
    let parts = ["`hf://tiny` is not the address of a model", "--set"];
    hub.run(&project, &odd)
        .failed_with(2, "bad-address", &parts);
}

#[test]
fn a_hub_that_is_not_there_or_says_nothing() {
    let project = judge();
    let one = ["check", "graph.toml", "--set", "encoder.model=base"];
    let parts = ["give the folder's path instead"];
    run(&project, &one, "http://127.0.0.1:1").failed_with(2, "hub-failed", &parts);
    let hub = Hub::start(&project, "", Mood::Silent);
    let parts = ["said nothing for 20 seconds"];
    hub.run(&project, &one).failed_with(2, "hub-failed", &parts);
}
