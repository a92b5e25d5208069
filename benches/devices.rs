//! What do several devices gain? Each pinned to one core, in a network namespace of its
//! own, against one such device alone, in turns: over a link as fast as the machine, and
//! over one of 100 Mbit/s and 5 ms. Where there are fewer cores than devices, these only
//! show their memory, and how near a pipeline comes to GPipe's bound is seen with stages
//! that sleep. Needs root, for the namespaces.
//!
//! `cargo bench --bench devices`, or with `SEGUE_BENCH_ROUNDS=1` for a short form

mod common;
#[path = "common/net.rs"]
mod net;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use common::{median, median_ratio, root, rounds, sentiment, show};
use net::Net;
use serde_json::Value;

const SEGUE: &str = env!("CARGO_BIN_EXE_segue");
/// Set where this binary is to be a relay.
const RELAY: &str = "SEGUE_BENCH_RELAY";
const DELAY: Duration = Duration::from_millis(5);
const DEVICES_MAX: usize = 4;
const BATCH: f64 = 32.0;
/// A batch takes so long in all stages that sleep together.
const SLEEP_MS: usize = 24;
const SLEEPY_BATCHES: usize = 64;

fn main() {
    if std::env::var_os(RELAY).is_some() {
        return relay();
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return println!("skipped: two devices need two cores");
    }
    let net = match Net::new(DEVICES_MAX) {
        Ok(net) => net,
        Err(why) => return println!("skipped: no network namespaces can be made here: {why}"),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bench = Bench::new(&net, folder.path());
    println!("-- a link as fast as the machine");
    for devices in 2..=cores.min(net.devices) {
        let goal = if devices == 2 {
            "at least 1.85"
        } else {
            "see the bound"
        };
        bench.compare(devices, Link::Plain, None, goal);
    }
    for devices in cores + 1..=net.devices {
        bench.memory(devices);
    }
    println!("-- stages that sleep, {SLEEPY_BATCHES} batches");
    for devices in 2..=net.devices {
        bench.sleep(devices);
    }
    println!("-- 100 Mbit/s, {} ms each way", DELAY.as_millis());
    if let Err(why) = net.shape() {
        return println!("skipped: the link cannot be shaped here: {why}");
    }
    let _relay = start_relay(&net);
    bench.compare(2, Link::Relayed, None, "for comparison");
    for (wire, goal) in [("f16", "at least 1.7"), ("int8", "for comparison")] {
        if bench.knows(wire) {
            bench.compare(2, Link::Relayed, Some(wire), goal)
        } else {
            println!("skipped: there is no `wire = \"{wire}\"`")
        }
    }
}

/// Which way devices reach each other.
#[derive(Clone, Copy)]
enum Link {
    Plain,
    Relayed,
}

struct Bench<'a> {
    net: &'a Net,
    folder: &'a Path,
    reviews: PathBuf,
}

impl<'a> Bench<'a> {
    fn new(net: &'a Net, folder: &'a Path) -> Self {
        let reviews = match rounds() {
            1 => short(folder),
            _ => common::reviews(folder),
        };
        let bench = Bench {
            net,
            folder,
            reviews,
        };
        bench.write_clusters();
        bench.write_sleepy();
        bench
    }

    /// Whether hidden states can cross a link as `wire`.
    fn knows(&self, wire: &str) -> bool {
        let mut command = Command::new(SEGUE);
        let set = format!("encoder.wire=\"{wire}\"");
        let command = command.arg("check").arg(sentiment()).args(["--set", &set]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Measures `devices` devices against one, and prints it.
    fn compare(&self, devices: usize, link: Link, wire: Option<&str>, goal: &str) {
        let (mut one, mut several) = (Vec::new(), Vec::new());
        for _ in 0..rounds() {
            one.push(self.alone());
            several.push(self.together(devices, link, wire));
        }
        let number = |report: &Value, field: &str| report[field].as_f64().expect("a number");
        let seconds = |reports: &[Value]| -> Vec<f64> {
            reports
                .iter()
                .map(|report| number(report, "seconds"))
                .collect()
        };
        let (one_seconds, seconds) = (seconds(&one), seconds(&several));
        let wire = wire.unwrap_or("f32");
        show(
            &format!("{devices} devices ({wire}) / one device"),
            median_ratio(&one_seconds, &seconds),
            goal,
        );
        let (alone, report) = (&one[0], &several[0]);
        let reviews = number(report, "reviews");
        let batches = (reviews / BATCH).ceil();
        let bound = bound(devices as f64, batches);
        println!(
            "  {:.1} reviews/s, {:.1} on one; GPipe's bound for {batches} batches is {bound:.2}",
            reviews / median(seconds),
            reviews / median(one_seconds),
        );
        let each = report["devices"].as_array().expect("a list");
        let sent: f64 = each.iter().map(|device| number(device, "bytes_sent")).sum();
        let most = match link {
            Link::Plain => String::new(),
            Link::Relayed => format!(
                ", so the link carries {:.0} a second",
                12.5e6 * reviews / sent
            ),
        };
        println!("  {:.1} KiB sent a review{most}", sent / reviews / 1024.0);
        show_memory(alone, report);
    }

    /// Shows the memory of `devices` devices, which share cores.
    fn memory(&self, devices: usize) {
        let (alone, report) = (self.alone(), self.together(devices, Link::Plain, None));
        println!("{devices} devices, too few cores");
        show_memory(&alone, &report);
    }

    /// Measures a pipeline of stages that sleep, one on each device, and prints how near
    /// it comes to GPipe's bound.
    fn sleep(&self, devices: usize) {
        let ratios = (0..rounds()).map(|_| {
            let [one, several] = [1, devices].map(|devices| {
                let start = |device| self.sleepy(devices, device);
                let report = self.report((0..devices).map(start).collect());
                report["seconds"].as_f64().expect("a number")
            });
            one / several
        });
        let ratio = median(ratios.collect());
        let bound = bound(devices as f64, SLEEPY_BATCHES as f64);
        let goal = format!("GPipe's bound, {bound:.3}");
        show(&format!("{devices} devices / one device"), ratio, &goal);
    }

    /// Device number `device` of a pipeline of stages that sleep.
    fn sleepy(&self, devices: usize, device: usize) -> Command {
        let mut command = self.net.exec(device);
        command.args([SEGUE, "run", "--quiet"]);
        command.arg(self.folder.join(format!("sleepy-{devices}.toml")));
        command.arg("--report").arg(self.folder.join("report.json"));
        command.env("SEGUE_PLUGIN_PATH", self.folder.join("plugins"));
        if devices > 1 {
            let cluster = self.folder.join(format!("sleepy-{devices}-cluster.toml"));
            command.arg("--cluster").arg(cluster);
            command.args(["--device", &name(device)]);
        }
        command
    }

    /// The graphs of stages that sleep, and the clusters that have one on each device.
    fn write_sleepy(&self) {
        let write = |name: &str, text: String| {
            fs::write(self.folder.join(name), text).expect("the folder can be written");
        };
        write(
            "sleepy.csv",
            format!("text\n{}", "a\n".repeat(SLEEPY_BATCHES)),
        );
        let library = std::env::current_exe().expect("it has a path");
        let library = library.with_file_name("libtest_plugin.so");
        let plugins = self.folder.join("plugins");
        fs::create_dir(&plugins).expect("the folder can be written");
        let link = plugins.join("libtest_plugin.so");
        std::os::unix::fs::symlink(library, link).expect("the folder can be written");
        for devices in 1..=self.net.devices {
            let mut graph = "format = 1\nstream.batch = 1\n[stage.source]\nplugin = \"read\"\n\
                             with.path = \"sleepy.csv\"\n"
                .to_owned();
            let (mut from, mut place) = ("source".to_owned(), "[place]\n".to_owned());
            for device in 0..devices {
                let stage = format!("sleep-{device}");
                let ms = SLEEP_MS / devices;
                graph += &format!(
                    "[stage.{stage}]\nplugin = \"pass\"\nfrom = \"{from}\"\nwith.sleep-ms = {ms}\n"
                );
                place += &format!("{stage} = \"{}\"\n", name(device));
                from = stage;
            }
            graph += &format!(
                "[stage.out]\nplugin = \"write\"\nfrom = \"{from}\"\nwith.path = \"out.jsonl\"\n"
            );
            write(&format!("sleepy-{devices}.toml"), graph);
            if devices > 1 {
                let cluster = fs::read_to_string(self.cluster(devices, 0, Link::Plain));
                let cluster = cluster.expect("it was written");
                write(&format!("sleepy-{devices}-cluster.toml"), cluster + &place);
            }
        }
    }

    /// The report of one device that does it all.
    fn alone(&self) -> Value {
        let mut command = self.device(0, 1);
        command.args(["--workers", "1"]);
        self.report(vec![command])
    }

    fn together(&self, devices: usize, link: Link, wire: Option<&str>) -> Value {
        let start = |device: usize| {
            let mut command = self.device(device, devices);
            command
                .arg("--cluster")
                .arg(self.cluster(devices, device, link));
            command.args(["--device", &name(device)]);
            if let Some(wire) = wire {
                command.args(["--set", &format!("encoder.wire=\"{wire}\"")]);
            }
            command
        };
        self.report((0..devices).map(start).collect())
    }

    /// `segue run` in the namespace of a device, on its core.
    fn device(&self, device: usize, split: usize) -> Command {
        let mut command = self.net.exec(device);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let core = (device % cores).to_string();
        command.args(["taskset", "-c", &core, SEGUE, "run"]);
        command.arg(sentiment()).arg("--quiet");
        let set = [
            format!("reviews.path={}", self.reviews.display()),
            format!("out.path={}", self.folder.join("out.jsonl").display()),
            format!("encoder.split={split}"),
        ];
        for set in &set {
            command.args(["--set", set]);
        }
        command.arg("--report").arg(self.folder.join("report.json"));
        command
    }

    /// Runs all to their end, which must be a good one.
    fn report(&self, commands: Vec<Command>) -> Value {
        let start = |mut command: Command| Process(command.spawn().expect("it starts"));
        let mut processes: Vec<Process> = commands.into_iter().map(start).collect();
        for process in &mut processes {
            let status = process.0.wait().expect("it ends");
            assert!(status.success(), "a device failed");
        }
        let text = fs::read_to_string(self.folder.join("report.json"));
        serde_json::from_str(&text.expect("the report")).expect("JSON")
    }

    fn cluster(&self, devices: usize, device: usize, link: Link) -> PathBuf {
        let link = match link {
            Link::Plain => "plain",
            Link::Relayed => "relayed",
        };
        self.folder.join(format!("{devices}-{device}-{link}.toml"))
    }

    /// Every device has a file of its own: over the relay the others are elsewhere.
    fn write_clusters(&self) {
        let identity = |device: usize| {
            let mut command = Command::new(SEGUE);
            command.args(["identity", "new", &name(device), "--folder"]);
            let output = command.arg(self.folder).output().expect("an identity");
            String::from_utf8(output.stdout).expect("text")
        };
        let identities: Vec<String> = (0..self.net.devices).map(identity).collect();
        for devices in 2..=self.net.devices {
            for me in 0..devices {
                for link in [Link::Plain, Link::Relayed] {
                    let text = cluster_text(&identities[..devices], me, link);
                    let path = self.cluster(devices, me, link);
                    fs::write(path, text).expect("the folder can be written");
                }
            }
        }
    }
}

fn cluster_text(identities: &[String], me: usize, link: Link) -> String {
    let mut text = "format = 1\n".to_owned();
    for (device, identity) in identities.iter().enumerate() {
        let address = match link {
            Link::Relayed if device != me => relay_address(device),
            _ => address(device),
        };
        text += &format!("{identity}address = \"{address}\"\n");
    }
    text
}

/// What `devices` devices that take equally long may gain at most with so many batches
/// (Huang et al., arXiv:1811.06965).
fn bound(devices: f64, batches: f64) -> f64 {
    devices * batches / (batches + devices - 1.0)
}

/// Prints each device's peak beside that of one device.
fn show_memory(alone: &Value, report: &Value) {
    let peak = |device: &Value| {
        let bytes = device["peak_rss_bytes"].as_f64().expect("a number");
        format!("{:.1}", bytes / 1048576.0)
    };
    let each = report["devices"].as_array().expect("a list");
    let peaks: Vec<String> = each.iter().map(peak).collect();
    println!(
        "  peak memory {} MiB, {} MiB on one",
        peaks.join(" and "),
        peak(&alone["devices"][0])
    );
}

/// Few reviews, for a look whether all works.
fn short(folder: &Path) -> PathBuf {
    let own = root().join("graphs/reviews.csv");
    let text = fs::read_to_string(own).expect("the reviews are in the repository");
    let (header, rows) = text.split_once('\n').expect("they have a header");
    let path = folder.join("reviews.csv");
    fs::write(&path, format!("{header}\n{}", rows.repeat(3))).expect("the folder can be written");
    path
}

fn name(device: usize) -> String {
    format!("device-{}", device + 1)
}

fn address(device: usize) -> String {
    format!("10.77.0.{}:{}", device + 1, 7400 + device)
}

/// Where the relay takes calls for a device.
fn relay_address(device: usize) -> String {
    format!("10.77.0.254:{}", 7400 + device)
}

/// Killed when this goes.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this binary as the relay, in the middle.
fn start_relay(net: &Net) -> Process {
    let this = std::env::current_exe().expect("it has a path");
    let mut command = net.exec(net.devices);
    command.arg(this).env(RELAY, net.devices.to_string());
    Process(command.spawn().expect("the relay starts"))
}

/// Takes calls for every device, and passes on each byte after [`DELAY`].
fn relay() {
    let devices = std::env::var(RELAY).ok().and_then(|text| text.parse().ok());
    let take = |device: usize| {
        let listener = TcpListener::bind(relay_address(device)).expect("the address is free");
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                // Where the device is not there yet, the caller is dropped and calls again.
                if let Ok(called) = TcpStream::connect(address(device)) {
                    join(&caller, &called).expect("the sockets work");
                }
            }
        })
    };
    let takers: Vec<_> = (0..devices.unwrap_or(0)).map(take).collect();
    takers.into_iter().for_each(|taker| drop(taker.join()));
}

fn join(a: &TcpStream, b: &TcpStream) -> std::io::Result<()> {
    for (from, to) in [(a, b), (b, a)] {
        to.set_nodelay(true)?;
        pass_on(from.try_clone()?, to.try_clone()?);
    }
    Ok(())
}

/// One way, in two threads.
fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    // 1 MiB: more than the link holds in that time.
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(64);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 14];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let sent = sender.send((Instant::now() + DELAY, buffer[..count].to_vec()));
            if sent.is_err() {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, bytes) in receiver {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // The other side may be gone.
        let _ = to.shutdown(Shutdown::Write);
    });
}
