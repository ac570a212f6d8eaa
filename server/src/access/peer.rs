//! Where a request comes from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::request::Parts;

/// The address of a connection; the accept loop puts it into each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    /// Whom failures are counted against: the address, or the network of 64 bits where one client has so many of them. Behind a proxy it is
    /// the last address that the proxy wrote, for whatever stands before that the client may have written itself.
    pub(crate) fn of(parts: &Parts, is_behind_proxy: bool) -> IpAddr {
        let forwarded = || {
            let header = parts
                .headers
                .get_all("x-forwarded-for")
                .iter()
                .next_back()?;
            header
                .to_str()
                .ok()?
                .rsplit(',')
                .next()?
                .trim()
                .parse()
                .ok()
        };
        let address = is_behind_proxy.then(forwarded).flatten();
        let address = address.or_else(|| {
            let peer = parts.extensions.get::<Self>()?;
            Some(peer.0.ip())
        });
        match address {
            Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(address) => address.into(),
                None => {
                    let network = address.to_bits() & (u128::MAX << 64);
                    Ipv6Addr::from_bits(network).into()
                }
            },
            Some(address) => address,
            None => Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn of(peer: &str, forwarded: &[&str], is_behind_proxy: bool) -> String {
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header("X-Forwarded-For", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Peer(peer.parse().unwrap()));
        Peer::of(&parts, is_behind_proxy).to_string()
    }

    #[test]
    fn a_client_cannot_choose_whom_its_failures_count_against() {
        let table = [
            ("10.0.0.1:5", vec![], false, "10.0.0.1"),
            ("10.0.0.1:5", vec!["9.9.9.9"], false, "10.0.0.1"),
            ("10.0.0.1:5", vec!["9.9.9.9, 8.8.8.8"], true, "8.8.8.8"),
            ("10.0.0.1:5", vec!["9.9.9.9", "8.8.8.8"], true, "8.8.8.8"),
            ("10.0.0.1:5", vec!["nonsense"], true, "10.0.0.1"),
            ("[2001:db8::1:2:3]:5", vec![], false, "2001:db8::"),
            ("[::ffff:10.0.0.1]:5", vec![], false, "10.0.0.1"),
        ];
        for (peer, forwarded, is_behind_proxy, expected) in table {
            assert_eq!(of(peer, &forwarded, is_behind_proxy), expected);
        }
    }
}
