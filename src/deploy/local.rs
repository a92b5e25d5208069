//! Processes of this machine that stand for devices.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::cluster::Identity;
use crate::diagnostic::Diagnostic;
use crate::graph::Plan;

/// Writes a cluster file into `folder`, for free ports of this machine, and an identity for
/// each device of `plan`; gives where it is.
///
/// # Errors
/// `internal` where the system gives no port, or a file cannot be written
pub fn local_cluster(plan: &Plan, folder: &Path) -> Result<PathBuf, Diagnostic> {
    let internal = |message: String| Diagnostic::new("internal", message);
    let io = |e: std::io::Error| internal(e.to_string());
    let mut text = "format = 1\n".to_owned();
    let mut ports = Vec::new();
    for (name, workers) in &plan.layout.devices {
        let identity = Identity::generate(name).map_err(|e| internal(e.to_string()))?;
        identity.save(folder).map_err(|e| internal(e.to_string()))?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        // All ports are taken until all are known, so that no two are the same.
        ports.push(listener);
        text += &format!(
            "[device.{name}]\naddress = \"{address}\"\nworkers = {workers}\nidentity = \"{}\"\n",
            identity.fingerprint
        );
    }
    let path = folder.join("cluster.toml");
    std::fs::write(&path, text).map_err(io)?;
    Ok(path)
}
