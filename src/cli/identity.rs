//! `segue identity`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failed, Outcome, answer};
use segue::cluster::Identity;
use segue::diagnostic::{Diagnostic, Sources};

/// `segue identity`
#[derive(Args)]
pub struct IdentityArgs {
    #[command(subcommand)]
    command: IdentityCommand,
}

#[derive(Subcommand)]
enum IdentityCommand {
    /// Make the key and certificate of a device
    New {
        /// The device's name in the cluster file
        name: String,
        /// The folder to put NAME.key and NAME.crt in: on the device, beside its cluster file
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        folder: PathBuf,
    },
}

/// Makes an identity, and prints the lines that pin it in a cluster file.
pub fn identity(arguments: &IdentityArgs) -> Outcome {
    let IdentityCommand::New { name, folder } = &arguments.command;
    let made = Identity::generate(name).and_then(|identity| {
        identity.save(folder)?;
        Ok(identity)
    });
    match made {
        Ok(identity) => answer(&format!(
            "[device.{name}]\nidentity = \"{}\"\n",
            identity.fingerprint
        )),
        Err(error) => {
            let error = Diagnostic::new(error.code(), error.to_string());
            Err(Failed::Wrong(error.render(&Sources::new())))
        }
    }
}
