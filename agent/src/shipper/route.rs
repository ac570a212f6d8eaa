//! How a server is reached: through which proxy, and whose word on its identity counts.
//!
//! The usual variables are read as curl reads them, except that a server on this machine is never asked through a proxy: what is
//! recorded here would leave the machine, or not arrive.

use std::{net::IpAddr, path::Path};

use ureq::{
    Proxy, ProxyProtocol,
    http::Uri,
    tls::{Certificate, PemItem, RootCerts, parse_pem},
};

use crate::{ci::Env, regular};

/// Files with certificates to trust, the first that is set counts.
const CERTIFICATES: [&str; 2] = ["HIGHWATER_CA_FILE", "SSL_CERT_FILE"];

/// A proxy and how it is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedProxy {
    pub(super) proxy: Proxy,
    /// Its address without a password, and the variable that names it.
    pub(super) name: String,
}

/// The proxy on the way to a server, if any.
///
/// # Errors
/// When the variable names none that can be used.
pub(super) fn proxy_for(server: &str, env: &Env) -> Result<Option<NamedProxy>, String> {
    let Ok(uri) = server.parse::<Uri>() else {
        return Ok(None);
    };
    let host = uri.host().unwrap_or("").trim_matches(['[', ']']);
    if is_loopback(host) || is_spared(host, env) {
        return Ok(None);
    }
    let of_scheme = match uri.scheme_str() {
        Some("https") => ["HTTPS_PROXY", "https_proxy"],
        _ => ["HTTP_PROXY", "http_proxy"],
    };
    let names = of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]);
    let Some((name, value)) = set(names, env) else {
        return Ok(None);
    };
    let proxy = Proxy::new(value).map_err(|_| format!("{name} is no address of a proxy"))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => {}
        other => {
            return Err(format!(
                "{name} names a proxy of the kind {other}; only http and https are spoken"
            ));
        }
    }
    let name = format!("the proxy {}:{} of {name}", proxy.host(), proxy.port());
    Ok(Some(NamedProxy { proxy, name }))
}

/// The authorities that may vouch for an https server.
///
/// # Errors
/// When a file is named and cannot be used.
pub(super) fn roots(env: &Env) -> Result<RootCerts, String> {
    let Some((name, path)) = set(CERTIFICATES, env) else {
        return Ok(RootCerts::WebPki);
    };
    let pem = regular::read(Path::new(path)).map_err(|error| format!("{name}: {path}: {error}"))?;
    let mut found: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&pem) {
        let item = item.map_err(|error| format!("{name}: {path}: {error}"))?;
        if let PemItem::Certificate(certificate) = item {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(format!("{name}: {path} holds no certificate in PEM"));
    }
    Ok(RootCerts::new_with_certs(&found))
}

fn set(names: impl IntoIterator<Item = &'static str>, env: &Env) -> Option<(&'static str, &str)> {
    names.into_iter().find_map(|name| {
        let value = env.get(name)?.trim();
        (!value.is_empty()).then_some((name, value))
    })
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether `NO_PROXY` names the host or a domain above it.
fn is_spared(host: &str, env: &Env) -> bool {
    let host = host.to_ascii_lowercase();
    let Some((_, list)) = set(["NO_PROXY", "no_proxy"], env) else {
        return false;
    };
    list.split(',').map(str::trim).any(|entry| {
        let domain = entry
            .trim_start_matches('*')
            .trim_start_matches('.')
            .to_ascii_lowercase();
        entry == "*"
            || (!domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}"))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    #[test]
    fn a_proxy_is_taken_by_scheme_and_never_to_this_machine() {
        let all = [
            ("HTTP_PROXY", "http://user:secret@plain:3128"),
            ("https_proxy", "tls:8080"),
            ("NO_PROXY", "spared.example, .inner.example,10.0.0.1"),
        ];
        for (server, expected) in [
            ("http://127.0.0.1:8080", None),
            ("http://127.8.8.8", None),
            ("http://[::1]:8080", None),
            ("http://localhost:8080", None),
            ("https://hw.localhost", None),
            ("http://spared.example", None),
            ("http://a.spared.example:8", None),
            ("http://inner.example", None),
            ("http://10.0.0.1", None),
            ("http://notspared.example", Some("plain:3128 of HTTP_PROXY")),
            ("http://10.0.0.10", Some("plain:3128 of HTTP_PROXY")),
            ("https://ci.example", Some("tls:8080 of https_proxy")),
        ] {
            let name = proxy_for(server, &env(&all))
                .unwrap()
                .map(|proxy| proxy.name);
            let expected = expected.map(|name| format!("the proxy {name}"));
            assert_eq!(name, expected, "{server}");
        }
        let everything = env(&[("ALL_PROXY", "http://any"), ("no_proxy", "*")]);
        assert_eq!(proxy_for("http://ci.example", &everything), Ok(None));
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_variable() {
        let socks = env(&[("ALL_PROXY", "socks5://any:1080")]);
        let told = proxy_for("https://ci.example", &socks).unwrap_err();
        assert!(
            told.starts_with("ALL_PROXY names a proxy of the kind SOCKS5"),
            "{told}"
        );
        let missing = env(&[
            ("HIGHWATER_CA_FILE", "/no/such/file"),
            ("SSL_CERT_FILE", "/x"),
        ]);
        let told = roots(&missing).unwrap_err();
        assert!(
            told.starts_with("HIGHWATER_CA_FILE: /no/such/file: "),
            "{told}"
        );
        let place = tempfile::tempdir().unwrap();
        let empty = place.path().join("empty").display().to_string();
        std::fs::write(&empty, "").unwrap();
        let none = env(&[("SSL_CERT_FILE", &empty), ("HIGHWATER_CA_FILE", " ")]);
        let told = roots(&none).unwrap_err();
        assert_eq!(
            told,
            format!("SSL_CERT_FILE: {empty} holds no certificate in PEM")
        );
        assert!(matches!(roots(&env(&[])), Ok(RootCerts::WebPki)));
    }
}
