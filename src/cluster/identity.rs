//! A device's key and certificate, and the files they are kept in.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::fingerprint::Fingerprint;
use super::identity_error::IdentityError;

/// A device's key and the certificate that it has signed itself. Peers know it by
/// the certificate's [`Fingerprint`] alone: names and dates in it mean nothing.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What the files are called.
    pub name: String,
    /// What a cluster file says of it.
    pub fingerprint: Fingerprint,
    certificate_pem: String,
    key_pem: String,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Makes a new one.
    ///
    /// # Errors
    /// `bad-name`, or `no-key` where the system gives no randomness
    pub fn generate(name: &str) -> Result<Self, IdentityError> {
        check_name(name)?;
        let failed = |error: rcgen::Error| IdentityError::Generate(error.to_string());
        let key = rcgen::KeyPair::generate().map_err(failed)?;
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).map_err(failed)?;
        let mut subject = rcgen::DistinguishedName::new();
        subject.push(rcgen::DnType::CommonName, name);
        params.distinguished_name = subject;
        let certificate = params.self_signed(&key).map_err(failed)?;
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        Self::from_pem(name, certificate, key, Path::new(name))
    }

    /// Writes `NAME.key`, which only its owner may read, and `NAME.crt` into `folder`.
    ///
    /// # Errors
    /// `identity-exists`, `unreadable-identity` with what the system says
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        let [key, certificate] = paths(folder, &self.name);
        if certificate.exists() {
            return Err(IdentityError::Exists(certificate));
        }
        write_new(&key, &self.key_pem, 0o600)?;
        write_new(&certificate, &self.certificate_pem, 0o644)
    }

    /// Reads what [`Identity::save`] wrote.
    ///
    /// # Errors
    /// `missing-identity`, `unreadable-identity`, `key-open`, `not-pem`, `key-mismatch`,
    /// `unusable-identity`
    pub fn load(folder: &Path, name: &str) -> Result<Self, IdentityError> {
        check_name(name)?;
        let [key_path, certificate_path] = paths(folder, name);
        let key = read(&key_path, name)?;
        check_private(&key_path)?;
        let certificate = read(&certificate_path, name)?;
        Self::from_pem(name, certificate, key, &folder.join(name))
    }

    /// The same from the texts; `stem` is the files' path without an ending.
    fn from_pem(
        name: &str,
        certificate_pem: String,
        key_pem: String,
        stem: &Path,
    ) -> Result<Self, IdentityError> {
        let (key_path, certificate_path) = (stem.with_extension("key"), stem.with_extension("crt"));
        let not_pem =
            |path: &Path, what, error: rustls::pki_types::pem::Error| IdentityError::NotPem {
                path: path.to_owned(),
                what,
                error: error.to_string(),
            };
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| not_pem(&certificate_path, "certificate", error))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| not_pem(&key_path, "private key", error))?;
        let fingerprint = Fingerprint::of(&certificate);
        let provider = rustls::crypto::ring::default_provider();
        let certified =
            CertifiedKey::from_der(vec![certificate], key, &provider).map_err(|e| match e {
                rustls::Error::InconsistentKeys(_) => IdentityError::Mismatch(key_path.clone()),
                rustls::Error::InvalidCertificate(error) => IdentityError::Unusable {
                    path: certificate_path.clone(),
                    error: format!("{error:?}"),
                },
                error => IdentityError::Unusable {
                    path: key_path.clone(),
                    error: error.to_string(),
                },
            })?;
        Ok(Identity {
            name: name.to_owned(),
            fingerprint,
            certificate_pem,
            key_pem,
            certified: Arc::new(certified),
        })
    }

    /// As TLS wants it.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

/// Whether `name` can be a device's, and so a file's.
pub(super) fn is_name(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(fine)
}

fn check_name(name: &str) -> Result<(), IdentityError> {
    if is_name(name) {
        Ok(())
    } else {
        Err(IdentityError::Name(name.to_owned()))
    }
}

fn paths(folder: &Path, name: &str) -> [PathBuf; 2] {
    [
        folder.join(format!("{name}.key")),
        folder.join(format!("{name}.crt")),
    ]
}

fn read(path: &Path, name: &str) -> Result<String, IdentityError> {
    fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => IdentityError::Missing {
            path: path.to_owned(),
            name: name.to_owned(),
        },
        _ => IdentityError::Io {
            path: path.to_owned(),
            error,
        },
    })
}

#[cfg(unix)]
fn check_private(key: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let about = fs::metadata(key).map_err(|error| IdentityError::Io {
        path: key.to_owned(),
        error,
    })?;
    match about.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(IdentityError::Open(key.to_owned())),
    }
}

#[cfg(not(unix))]
fn check_private(_key: &Path) -> Result<(), IdentityError> {
    Ok(())
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), IdentityError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => IdentityError::Exists(path.to_owned()),
        _ => IdentityError::Io {
            path: path.to_owned(),
            error,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(name: &str) -> (tempfile::TempDir, Identity) {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::generate(name).unwrap();
        identity.save(folder.path()).unwrap();
        (folder, identity)
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let (folder, identity) = saved("kitchen");
        let loaded = Identity::load(folder.path(), "kitchen").unwrap();
        assert_eq!(loaded.fingerprint, identity.fingerprint);
        assert!(loaded.certificate_pem.contains("BEGIN CERTIFICATE"));
    }

    #[test]
    fn no_identity_is_ever_overwritten() {
        let (folder, identity) = saved("kitchen");
        let again = Identity::generate("kitchen").unwrap();
        assert_ne!(again.fingerprint, identity.fingerprint);
        assert_eq!(
            again.save(folder.path()).unwrap_err().code(),
            "identity-exists"
        );
        fs::remove_file(folder.path().join("kitchen.crt")).unwrap();
        assert_eq!(
            again.save(folder.path()).unwrap_err().code(),
            "identity-exists"
        );
    }

    #[test]
    fn a_name_is_no_path() {
        for name in ["", "../up", "a/b", "a b", "é"] {
            assert_eq!(
                Identity::generate(name).unwrap_err().code(),
                "bad-name",
                "{name}"
            );
            let loaded = Identity::load(Path::new("."), name);
            assert_eq!(loaded.unwrap_err().code(), "bad-name", "{name}");
        }
    }

    #[test]
    fn each_thing_that_is_wrong_has_its_error() {
        let (folder, _) = saved("kitchen");
        let file = |name: &str| folder.path().join(name);
        let load = |name: &str| Identity::load(folder.path(), name).unwrap_err();

        let missing = load("hall");
        assert_eq!(missing.code(), "missing-identity");
        assert!(
            missing
                .to_string()
                .ends_with("make one with `segue identity new hall`")
        );

        Identity::generate("hall")
            .unwrap()
            .save(folder.path())
            .unwrap();
        fs::copy(file("kitchen.crt"), file("hall.crt")).unwrap();
        assert_eq!(load("hall").code(), "key-mismatch");

        fs::write(file("hall.crt"), "nothing").unwrap();
        assert_eq!(load("hall").code(), "not-pem");
        let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(file("hall.crt"), empty).unwrap();
        assert_eq!(load("hall").code(), "unusable-identity");
        fs::write(file("hall.key"), "nothing").unwrap();
        fs::copy(file("kitchen.crt"), file("hall.crt")).unwrap();
        assert_eq!(load("hall").code(), "not-pem");
        fs::write(file("hall.key"), [0xff, 0xfe]).unwrap();
        assert_eq!(load("hall").code(), "unreadable-identity");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, _) = saved("kitchen");
        let key = folder.path().join("kitchen.key");
        let mode = |key: &Path| fs::metadata(key).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&key), 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Identity::load(folder.path(), "kitchen").unwrap_err();
        assert_eq!(error.code(), "key-open");
        assert!(
            error
                .to_string()
                .contains(&format!("say `chmod 600 {}`", key.display()))
        );
    }
}
