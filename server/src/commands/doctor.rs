//! `highwater-server doctor`: what stands in the way of serving, and how to mend it. It changes nothing.

use std::{fs::File, io::Write, os::unix::fs::MetadataExt, path::Path, time::Duration};

use highwater_analysis::figures::mebibytes;
use highwater_store::{Look, look};

use super::columns::lines;
use crate::{access::oidc::Issuer, config::Config};

/// How long a running server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Less free room on the disk is little, bytes.
const LITTLE_ROOM: u64 = 1 << 30;

/// How it is with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Works,
    /// It serves, and something is not as it should be.
    Limited,
    /// It does not serve so.
    Missing,
    NotChecked,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Limited => "limited",
            Self::Missing => "missing",
            Self::NotChecked => "not checked",
        }
    }
}

struct Check {
    name: &'static str,
    status: Status,
    seen: String,
    mend: &'static str,
}

fn check(name: &'static str, status: Status, seen: impl Into<String>, mend: &'static str) -> Check {
    Check {
        name,
        status,
        seen: seen.into(),
        mend,
    }
}

/// Looks at everything and says what was seen; that no server answers is wrong where one must run.
///
/// # Errors
/// When something that is needed is missing, or nothing can be written to `out`.
pub async fn run(
    config: &Config,
    must_run: bool,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut checks = Vec::new();
    match look(&config.database).await {
        Ok(look) => checks.extend(database(config, &look)),
        Err(error) => checks.push(check(
            "database",
            Status::Missing,
            format!("{}: {error}", config.database),
            "name another by --database, or put a backup in its place",
        )),
    }
    checks.push(tls(config));
    checks.push(identity(config).await);
    checks.push(answers(config, must_run).await);
    let rows = checks.iter().map(|check| {
        [
            check.name.to_owned(),
            check.status.as_str().to_owned(),
            check.seen.clone(),
        ]
    });
    let table = lines(["", "", ""], rows);
    for (line, check) in table.iter().skip(1).zip(&checks) {
        writeln!(out, "{line}")?;
        if matches!(check.status, Status::Limited | Status::Missing) {
            writeln!(out, "  → {}", check.mend)?;
        }
    }
    let missing = checks
        .iter()
        .filter(|check| check.status == Status::Missing);
    match missing.count() {
        0 => Ok(()),
        count => Err(format!("{count} of these must be mended before it serves").into()),
    }
}

fn database(config: &Config, look: &Look) -> Vec<Check> {
    use Status::{Limited, Missing, Works};
    let folder = look
        .path
        .parent()
        .filter(|path| !path.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let Some(inside) = &look.inside else {
        let (status, seen) = match writable(folder) {
            Ok(()) => (
                Works,
                "is not there yet, and is made at the first start".to_owned(),
            ),
            Err(error) => (
                Missing,
                format!("cannot be made in {}: {error}", folder.display()),
            ),
        };
        let mend = "give the server a folder that it may write to";
        return vec![
            check(
                "database",
                status,
                format!("{} {seen}", look.path.display()),
                mend,
            ),
            room(folder, 0),
            access(config, false),
        ];
    };
    let size = |bytes: u64| mebibytes(bytes.cast_signed());
    let (jobs, unsettled) = inside.jobs;
    let seen = format!(
        "{}: {}, and {} of log; jobs {jobs}, of them not finalised {unsettled}",
        look.path.display(),
        size(inside.bytes),
        size(inside.log_bytes)
    );
    let mut checks = vec![check("database", Works, seen, "")];
    checks.push(match inside.problems.as_slice() {
        [] => check("integrity", Works, "SQLite finds nothing wrong", ""),
        problems => check(
            "integrity",
            Missing,
            problems.join("; "),
            "stop the server, keep this file, and start on a backup",
        ),
    });
    checks.push(if inside.is_newer {
        check(
            "schema",
            Missing,
            "a newer version of the server changed it",
            "run that version or a later one",
        )
    } else if inside.changes_to_come > 0 {
        let seen = format!(
            "{} changes are made at the next start",
            inside.changes_to_come
        );
        check("schema", Works, seen, "")
    } else {
        check("schema", Works, "is of this version", "")
    });
    if !inside.shrinks {
        checks.push(check(
            "space",
            Limited,
            "what retention removes makes the file no shorter",
            "put a copy of `highwater-server backup` in its place: the copy does",
        ));
    }
    checks.push(room(folder, inside.bytes));
    checks.push(permissions(&look.path));
    if inside.changes_to_come == 0 {
        checks.push(access(config, inside.has_tokens));
    }
    checks
}

fn writable(folder: &Path) -> std::io::Result<()> {
    tempfile_in(folder).map(drop)
}

/// A file that has no name and goes with its descriptor.
fn tempfile_in(folder: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(open(folder, flags, Mode::RUSR | Mode::WUSR)?.into())
}

fn room(folder: &Path, needed: u64) -> Check {
    let name = "disk";
    match rustix::fs::statvfs(folder) {
        Ok(about) => {
            let free = about.f_bavail.saturating_mul(about.f_frsize);
            let seen = format!("{} free", mebibytes(free.cast_signed()));
            let is_little = free < LITTLE_ROOM.max(needed);
            let status = if is_little {
                Status::Limited
            } else {
                Status::Works
            };
            check(
                name,
                status,
                seen,
                "make room: a backup needs as much as the database; see retention in docs/operating.md",
            )
        }
        Err(error) => check(name, Status::NotChecked, error.to_string(), ""),
    }
}

fn permissions(path: &Path) -> Check {
    match std::fs::metadata(path) {
        Ok(about) if about.mode() & 0o077 == 0 => check(
            "permissions",
            Status::Works,
            "only its owner reads the database",
            "",
        ),
        Ok(about) => check(
            "permissions",
            Status::Limited,
            format!(
                "others on this machine may read the database ({:o})",
                about.mode() & 0o777
            ),
            "chmod 600 the database, its -wal and its -shm",
        ),
        Err(error) => check("permissions", Status::NotChecked, error.to_string(), ""),
    }
}

fn access(config: &Config, has_tokens: bool) -> Check {
    let (status, seen) = match (config.listen.ip().is_loopback(), has_tokens) {
        (_, true) => (Status::Works, "asks everybody for a token"),
        (true, false) => (Status::Works, "asks nobody: only this machine reaches it"),
        (false, false) => (
            Status::Missing,
            "other machines reach it, and there is no token",
        ),
    };
    let mend =
        "`highwater-server token create --project owner/repo --scope read`, or listen on 127.0.0.1";
    check("access", status, format!("{}: {seen}", config.listen), mend)
}

fn tls(config: &Config) -> Check {
    let url = config.public_url.as_deref();
    let (status, seen) = match url {
        Some(url) if url.starts_with("https://") => (Status::Works, url),
        Some(url) => (Status::Limited, url),
        None if config.listen.ip().is_loopback() => (Status::Works, "this machine alone"),
        None => (
            Status::Limited,
            "browsers are told to send what signs them in over TLS only, and nobody said where that is",
        ),
    };
    check(
        "TLS",
        status,
        seen,
        "put a proxy that speaks TLS before it, and name its address by --public-url https://…",
    )
}

async fn identity(config: &Config) -> Check {
    let Some(oidc) = &config.oidc else {
        return check("identity tokens", Status::NotChecked, "none are taken", "");
    };
    match Issuer::new(oidc.clone()).reach().await {
        Ok(keys) => check(
            "identity tokens",
            Status::Works,
            format!(
                "{}: {keys} keys, for {}",
                oidc.issuer,
                oidc.repositories.join(", ")
            ),
            "",
        ),
        Err(error) => check(
            "identity tokens",
            Status::Limited,
            error.to_string(),
            "let the server reach the issuer; until then its tokens cannot be checked",
        ),
    }
}

async fn answers(config: &Config, must_run: bool) -> Check {
    let silent = match must_run {
        true => Status::Missing,
        false => Status::NotChecked,
    };
    let url = format!("http://{}/readyz", config.listen);
    let asked = url.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build();
        ureq::Agent::from(agent)
            .get(&asked)
            .call()
            .map(|answer| answer.status())
    });
    match answer.await {
        Ok(Ok(status)) => check("server", Status::Works, format!("{url}: {status}"), ""),
        Ok(Err(ureq::Error::StatusCode(status))) => check(
            "server",
            Status::Missing,
            format!("{url}: {status}"),
            "its log says why it is not ready",
        ),
        Ok(Err(error)) => check(
            "server",
            silent,
            format!("none answers at {url}: {error}"),
            "start it, or name where it listens by --listen",
        ),
        Err(error) => check("server", Status::NotChecked, error.to_string(), ""),
    }
}
