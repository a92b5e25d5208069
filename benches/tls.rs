//! What does mutual TLS cost? Two devices of one worker each, as threads of this process,
//! over sockets of this machine: once as Segue connects devices, once over the same
//! sockets bare, in turns.
//!
//! `cargo bench --bench tls`

mod common;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use common::{median, median_ratio, plan_over, rounds, show};
use segue::cluster::{self, Cluster, Formation, Identity, Members, Mesh};
use segue::dataflow::{self, Here, Network, Report, RunOptions};
use segue::diagnostic::Diagnostic;
use segue::diagnostic::Sources;
use segue::graph::{Layout, Plan};
use segue::operators::Operators;

const DEVICES: [&str; 2] = ["first", "second"];

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bench = Bench::new(folder.path());
    let (mut bare, mut tls) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        bare.push(bench.bare());
        tls.push(bench.tls());
    }
    let seconds =
        |reports: &[Report]| -> Vec<f64> { reports.iter().map(|report| report.seconds).collect() };
    let ratio = median_ratio(&seconds(&bare), &seconds(&tls));
    show(
        "reviews/s over mutual TLS / over bare sockets",
        ratio,
        "at least 0.97",
    );
    let rate = |reports: &[Report]| {
        median(
            reports
                .iter()
                .map(|report| report.reviews_per_second)
                .collect(),
        )
    };
    let bytes: u64 = tls[0].devices.iter().map(|device| device.bytes_sent).sum();
    let kib = bytes as f64 / 1024.0 / tls[0].reviews as f64;
    println!(
        "  {:.1} reviews/s, {:.1} over bare sockets; {kib:.1} KiB sent a review",
        rate(&tls),
        rate(&bare)
    );
}

struct Bench {
    plan: Plan,
    cluster: Cluster,
    identities: Vec<Identity>,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let operators = Operators::default();
        let devices = DEVICES.map(|name| (name.to_owned(), 1)).to_vec();
        let layout = Layout::of_devices(devices, BTreeMap::new());
        let plan = plan_over(&operators, &["encoder.split=2"], layout, folder);
        let identity = |name| Identity::generate(name).expect("an identity");
        let identities: Vec<Identity> = DEVICES.into_iter().map(identity).collect();
        let cluster = cluster_of(&identities);
        Bench {
            plan,
            cluster,
            identities,
        }
    }

    fn bare(&self) -> Report {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let calling = TcpStream::connect(address).expect("a connection");
        let (called, _) = listener.accept().expect("a connection");
        for end in [&calling, &called] {
            end.set_nodelay(true).expect("the sockets work");
        }
        let ends = vec![vec![None, Some(calling)], vec![Some(called), None]];
        let run = |device, streams| {
            let (plan, options) = (self.plan.clone(), RunOptions::default());
            dataflow::run_over(plan, &Operators::default(), &options, device, streams)
        };
        both(ends, run)
    }

    fn tls(&self) -> Report {
        let run = |device, ()| {
            let (plan, options) = (self.plan.clone(), RunOptions::default());
            let (tell, lost) = crossbeam_channel::unbounded();
            let mesh = self.form(device, tell);
            let complete = None;
            let network = Some(Network {
                mesh,
                lost,
                complete,
                begins: None,
            });
            let here = Here { device, network };
            dataflow::run_here(plan, &Operators::default(), &options, here, &mut |_| {})
        };
        both(vec![(), ()], run)
    }

    fn form(&self, me: usize, tell: crossbeam_channel::Sender<cluster::Loss>) -> Mesh {
        let listener = cluster::listen(&self.cluster, me).expect("the port is free again");
        let formed = cluster::form(Formation {
            cluster: &self.cluster,
            me,
            identity: &self.identities[me],
            plan_hash: [0; 32],
            account: cluster::Account::default(),
            generation: 0,
            members: Members::ALL,
            commits: None,
            survivors: None,
            notice: Vec::new(),
            heard: Arc::new(|_| true),
            listener,
            log: Arc::new(|line| eprintln!("{line}")),
            // With the run over nobody listens any more.
            on_loss: Arc::new(move |loss| drop(tell.send(loss))),
        });
        formed.expect("the two come together")
    }
}

/// Runs both devices, and gives the report of the one that commits.
fn both<T: Send>(
    ends: Vec<T>,
    run: impl Fn(usize, T) -> Result<Option<Report>, Diagnostic> + Sync,
) -> Report {
    let run = &run;
    std::thread::scope(|scope| {
        let start = |(device, end)| scope.spawn(move || run(device, end));
        let threads: Vec<_> = ends.into_iter().enumerate().map(start).collect();
        let reports = threads.into_iter().map(|thread| {
            let result = thread.join().expect("no panic");
            result.unwrap_or_else(|failure| panic!("{failure:?}"))
        });
        let reports: Vec<_> = reports.collect();
        reports.into_iter().flatten().next().expect("one commits")
    })
}

fn cluster_of(identities: &[Identity]) -> Cluster {
    let mut text = "format = 1\n".to_owned();
    let mut held = Vec::new();
    for identity in identities {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        // All ports are held until all are known.
        held.push(listener);
        let (name, print) = (&identity.name, identity.fingerprint);
        text += &format!("[device.{name}]\naddress = \"{address}\"\nidentity = \"{print}\"\n");
    }
    let mut sources = Sources::new();
    let source = sources.add("cluster.toml", text);
    cluster::check(&sources, source).unwrap_or_else(|errors| panic!("{errors:?}"))
}
