//! Where a post may lead. A server stands where others cannot reach: an address that somebody names must not make it ask what is near it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use ureq::{
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// Longer is no address of anybody's.
const MOST_BYTES: usize = 2_000;

/// Why somewhere is not to be reached.
#[derive(Debug, thiserror::Error)]
#[error("{host} leads to {address}, which is no address of the public internet")]
pub(crate) struct Private {
    host: String,
    address: IpAddr,
}

/// An address to post to, which may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    uri: Uri,
    allow_private: bool,
}

/// What a look at a destination found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Its name leads where it may.
    Reachable,
    /// Its name leads nowhere now; why.
    Unknown(String),
}

impl Destination {
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn parse(url: &str, allow_private: bool) -> Result<Self, String> {
        if url.len() > MOST_BYTES {
            return Err(format!("is longer than {MOST_BYTES} bytes"));
        }
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("is no address: {error}"))?;
        let host = uri.host().unwrap_or("");
        let authority = uri.authority().map_or("", |it| it.as_str());
        match uri.scheme_str() {
            _ if host.is_empty() => Err("names no host; write it as https://host/path".to_owned()),
            _ if authority.contains('@') => {
                Err("holds a user or a password, which would be sent to whoever asks; a post is signed instead".to_owned())
            }
            Some("https") => Ok(()),
            Some("http") if allow_private => Ok(()),
            Some("http") => Err("would be posted to in the clear; write https://, or add --allow-private for a network that is trusted".to_owned()),
            _ => Err("is no web address; write it as https://host/path".to_owned()),
        }?;
        Ok(Self { uri, allow_private })
    }

    /// What may be shown of it: the address of a chat's webhook is a secret.
    pub(crate) fn shown(&self) -> String {
        let uri = &self.uri;
        let host = uri.authority().map_or("", |it| it.as_str());
        let path = uri.path_and_query().map_or("/", |it| it.as_str());
        let rest = if path == "/" { "/" } else { "/…" };
        format!("{}://{host}{rest}", uri.scheme_str().unwrap_or(""))
    }

    /// Looks where it leads. Waits for the system's look-up of names.
    ///
    /// # Errors
    /// When it leads where it may not.
    pub(crate) fn look(&self) -> Result<Found, Private> {
        let host = self.uri.host().unwrap_or("");
        let looked_up = format!("{host}:0").to_socket_addrs();
        let addresses: Vec<SocketAddr> = match looked_up {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Ok(Found::Unknown(error.to_string())),
        };
        check(host, &addresses, self.allow_private)?;
        Ok(match addresses.is_empty() {
            true => Found::Unknown("no address".to_owned()),
            false => Found::Reachable,
        })
    }

    /// Looks up its name for each connection, and refuses one that leads where it may not.
    pub(super) fn resolver(&self) -> Guarded {
        Guarded {
            asked: DefaultResolver::default(),
            allow_private: self.allow_private,
        }
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }
}

fn check(host: &str, addresses: &[SocketAddr], allow_private: bool) -> Result<(), Private> {
    let private = addresses
        .iter()
        .map(SocketAddr::ip)
        .find(|it| !is_public(*it));
    match private.filter(|_| !allow_private) {
        Some(address) => Err(Private {
            host: host.to_owned(),
            address,
        }),
        None => Ok(()),
    }
}

/// Gives whoever connects only addresses that may be connected to: between the look-up and the connection nothing can change.
#[derive(Debug)]
pub(super) struct Guarded {
    asked: DefaultResolver,
    allow_private: bool,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.asked.resolve(uri, config, timeout)?;
        check(uri.host().unwrap_or(""), &found, self.allow_private)
            .map_err(|private| ureq::Error::Other(Box::new(private)))?;
        Ok(found)
    }
}

/// Whether it belongs to somebody on the public internet, by the registries of special addresses at IANA. What is not known to is none.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224.., ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let low = || {
        let [.., a, b] = segments;
        let [[a, b], [c, d]] = [a.to_be_bytes(), b.to_be_bytes()];
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // The same as an address of version 4, and its translation.
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => is_public_v4(low()),
        // Protocols and tunnels, documentation, 6to4.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let public = [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.254",
            "2606:4700::1111",
            "2a00:1450:4001::5",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ];
        let other = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in other {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_is_over_tls_names_a_host_and_holds_no_password() {
        let table = [
            ("https://receiver.example", false, None),
            ("https://receiver.example:8443/a?b=c", false, None),
            ("http://receiver.example/", true, None),
            ("http://receiver.example/", false, Some("--allow-private")),
            ("ftp://receiver.example/", true, Some("https://")),
            ("receiver.example", true, Some("https://")),
            ("/a", true, Some("names no host")),
            ("https://user:pw@receiver.example/", true, Some("password")),
            ("https://receiver.example/a b", true, Some("no address")),
            ("", true, Some("no address")),
        ];
        for (url, allow_private, expected) in table {
            match (Destination::parse(url, allow_private), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => assert!(error.contains(expected), "{url}: {error}"),
                (parsed, _) => panic!("{url}: {parsed:?}"),
            }
        }
    }

    #[test]
    fn however_this_machine_is_called_it_is_refused() {
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "2130706433",
            "0x7f.1",
            "[::ffff:127.0.0.1]",
        ] {
            let destination = Destination::parse(&format!("https://{host}/"), false).unwrap();
            match destination.look() {
                Err(private) => assert!(private.to_string().contains("public internet")),
                // Not every system's look-up takes every form.
                Ok(found) => assert!(matches!(found, Found::Unknown(_)), "{host}"),
            }
            let allowed = Destination::parse(&format!("https://{host}/"), true).unwrap();
            assert!(allowed.look().is_ok(), "{host}");
        }
    }

    #[test]
    fn what_is_shown_of_an_address_is_no_secret() {
        let of = |url| Destination::parse(url, true).unwrap().shown();
        assert_eq!(
            of("https://hooks.slack.com/services/T/B/x?y"),
            "https://hooks.slack.com/…"
        );
        assert_eq!(of("http://10.0.0.5:9000"), "http://10.0.0.5:9000/");
    }
}
