//! `192.168.1.10:7400`: where a device listens.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether `text` is a host (name, IPv4, or IPv6 in brackets), a colon and a port.
///
/// # Errors
/// What is wrong with it
pub fn check_address(text: &str) -> Result<(), &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("it has no port")?;
    match port.parse::<u16>() {
        Ok(1..) if port.bytes().all(|b| b.is_ascii_digit()) => {}
        _ => return Err("its port is not a number from 1 to 65535"),
    }
    if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        return inner
            .parse::<Ipv6Addr>()
            .map(drop)
            .map_err(|_| "it has no IPv6 address in its brackets");
    }
    if host.contains(':') {
        return Err("an IPv6 address has to stand in brackets");
    }
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match numeric {
        true if host.parse::<Ipv4Addr>().is_ok() => Ok(()),
        false if is_host_name(host) => Ok(()),
        _ => Err("its host is neither a name nor an IP address"),
    }
}

fn is_host_name(host: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    host.split('.')
        .all(|part| (1..64).contains(&part.len()) && part.bytes().all(fine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for fine in [
            "192.168.1.10:7400",
            "kitchen.local:1",
            "[::1]:65535",
            "a:7400",
        ] {
            assert_eq!(check_address(fine), Ok(()), "{fine}");
        }
        for wrong in [
            "", "kitchen", ":7400", "a:0", "a:65536", "a:+7", "::1:7400", "[::1]", "[x]:1",
            "1.2.3:7", "a b:7", "a..b:7",
        ] {
            assert!(check_address(wrong).is_err(), "{wrong}");
        }
    }
}
