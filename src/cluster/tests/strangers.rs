//! Callers that are no devices disturb nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::super::link::lock;
use super::super::*;
use super::{Twist, devices, wait_for};

fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..count).map(|_| next()).collect()
}

/// A port scan, random bytes, one that says nothing, one that says it slowly, and a
/// TLS client without a certificate, all before and while devices come together.
#[test]
fn the_mesh_forms_among_strangers() {
    let devices = devices(3);
    let address = devices.address(0);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| devices.form(0, Twist::default()).unwrap());
        let silent: Vec<TcpStream> = (0..50)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        for _ in 0..50 {
            drop(TcpStream::connect(address).unwrap());
            // A stranger that is turned away cannot write all of it.
            let _ = TcpStream::connect(address).unwrap().write_all(&bytes(5000));
            let _ = TcpStream::connect(address)
                .unwrap()
                .write_all(b"GET / HTTP/1.1\r\n\r\n");
        }
        let slow = scope.spawn(move || {
            let mut tcp = TcpStream::connect(address).unwrap();
            // The beginning of a record that is never finished.
            for byte in [0x16, 3, 1, 2, 0].into_iter().chain([0; 200]) {
                if tcp.write_all(&[byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        anonymous(address);
        let devices = &devices;
        let others: Vec<_> = (1..3)
            .map(|i| scope.spawn(move || devices.form(i, Twist::default()).unwrap()))
            .collect();
        others
            .into_iter()
            .for_each(|other| drop(other.join().unwrap()));
        first.join().unwrap();
        slow.join().unwrap();
        drop(silent);
    });
    let notes = lock(&devices.notes[0]).clone();
    let kinds: std::collections::HashSet<&String> = notes.iter().collect();
    assert_eq!(kinds.len(), notes.len(), "each once: {notes:#?}");
    let said = |what: &str| notes.iter().any(|note| note.contains(what));
    assert!(
        said("does not speak this protocol") && said("closed") && said("has no identity"),
        "{notes:#?}"
    );
    assert!(notes.len() <= 5, "{notes:#?}");
}

#[derive(Debug)]
struct Anyone(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A TLS client that has no certificate, and does not care whom it talks to.
fn anonymous(address: std::net::SocketAddr) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    let name = "x.invalid".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(address).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    let hello = Hello {
        device: 1,
        devices: 3,
        workers: 1,
        wish: Wish::Link,
        generation: 0,
        plan_hash: [0; 32],
        members: Members::ALL,
    };
    let _ = stream.write_all(&hello.to_bytes());
    assert!(stream.read_exact(&mut [0; 74]).is_err());
}

/// A stolen certificate is no use without its key: the handshake's signature is checked.
#[test]
fn a_certificate_without_its_key() {
    let devices = devices(2);
    let stolen = devices.identities[1].certified();
    let other = Identity::generate("thief").unwrap().certified();
    let forged = rustls::sign::CertifiedKey::new(stolen.cert.clone(), Arc::clone(&other.key));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(forged)));
    let name = "x.invalid".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    std::thread::scope(|scope| {
        let hasty = Twist {
            cluster: Some(devices.hasty()),
            ..Twist::default()
        };
        let first = scope.spawn(|| devices.form(0, hasty));
        let mut tcp = TcpStream::connect(devices.address(0)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        let hello = Hello {
            device: 1,
            devices: 2,
            workers: 1,
            wish: Wish::Link,
            generation: 0,
            plan_hash: [0; 32],
            members: Members::ALL,
        };
        let _ = stream.write_all(&hello.to_bytes());
        assert!(stream.read_exact(&mut [0; 74]).is_err());
        assert_eq!(
            first.join().unwrap().err().unwrap().code(),
            "missing-devices"
        );
    });
    let notes = lock(&devices.notes[0]).clone();
    assert!(
        matches!(&notes[..], [note] if note.contains("BadSignature")),
        "{notes:?}"
    );
}

#[test]
fn one_that_says_nothing_is_dropped() {
    let devices = devices(2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| devices.form(0, Twist::default()).unwrap());
        let mut silent = TcpStream::connect(devices.address(0)).unwrap();
        assert_eq!(silent.read(&mut [0; 9]).unwrap(), 0);
        assert!(wait_for(|| lock(&devices.notes[0]).len() == 1));
        assert!(lock(&devices.notes[0])[0].contains("did not introduce itself within 3 s"));
        devices.form(1, Twist::default()).unwrap();
        first.join().unwrap();
    });
}

/// What one device sent another is of no use to who has recorded it.
#[test]
fn a_replayed_hello() {
    let devices = devices(2);
    let recorded = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (relay, target) = (listener.local_addr().unwrap(), devices.address(0));
        let mut cluster = devices.cluster.clone();
        cluster.devices[0].address = relay.to_string();
        let recorder = std::thread::spawn(move || {
            let (mut from, _) = listener.accept().unwrap();
            let mut to = TcpStream::connect(target).unwrap();
            let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
            let mut recorded = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                recorded.extend(&buffer[..count]);
                let _ = to.write_all(&buffer[..count]);
            }
            recorded
        });
        std::thread::scope(|scope| {
            let first = scope.spawn(|| devices.form(0, Twist::default()).unwrap());
            let twist = Twist {
                cluster: Some(cluster),
                ..Twist::default()
            };
            drop(devices.form(1, twist).unwrap());
            drop(first.join().unwrap());
        });
        recorder.join().unwrap()
    };
    assert!(recorded.len() > 500);
    std::thread::scope(|scope| {
        let hasty = Twist {
            cluster: Some(devices.hasty()),
            ..Twist::default()
        };
        let first = scope.spawn(|| devices.form(0, hasty));
        assert!(wait_for(|| TcpStream::connect(devices.address(0)).is_ok()));
        let mut tcp = TcpStream::connect(devices.address(0)).unwrap();
        let _ = tcp.write_all(&recorded);
        assert_eq!(
            first.join().unwrap().err().unwrap().code(),
            "missing-devices"
        );
    });
    assert!(
        lock(&devices.notes[0])
            .iter()
            .any(|note| note.contains("does not speak this protocol"))
    );
}
