//! What a process outside the job is called.

use std::path::Path;

use crate::bounds::cut;

/// Longest name, bytes.
const MOST_BYTES: usize = 200;
/// So much of a container's id is kept, as the engines show it.
const ID_LENGTH: usize = 12;

/// Name of the program: the first word without its folder, or what the kernel calls it.
pub(super) fn program(words: &[String], comm: &str) -> String {
    let first = words.first().map_or("", |word| word.trim_start());
    // Some write their state over their words: `postgres: checkpointer`.
    let first = first.split_whitespace().next().unwrap_or("");
    let name = Path::new(first).file_name().and_then(|name| name.to_str());
    match name.map(|name| name.trim_end_matches(':')) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => comm.to_owned(),
    }
}

/// The container or service that a process belongs to, from the text of its `/proc/PID/cgroup`.
pub(super) fn home(cgroups: &str) -> Option<String> {
    let paths = || {
        cgroups
            .lines()
            .filter_map(|line| line.splitn(3, ':').nth(2))
    };
    paths()
        .find_map(|path| path.split('/').rev().find_map(container))
        .or_else(|| paths().find_map(service))
        .or_else(|| paths().find_map(folder_of_engine))
}

fn service(path: &str) -> Option<String> {
    let mut parts = path.rsplit('/');
    parts
        .find(|part| part.ends_with(".service"))
        .map(str::to_owned)
}

/// `/docker/<id>`, with an id of whatever form.
fn folder_of_engine(path: &str) -> Option<String> {
    let mut parts = path.split('/').skip(1);
    let (engine, id) = (parts.next()?, parts.next()?);
    let is_known = matches!(engine, "docker" | "podman" | "lxc" | "kubepods");
    is_known.then(|| format!("{engine}/{}", shortened(id)))
}

/// `docker-<id>.scope`, or an id alone, which docker has below a folder of its name.
fn container(part: &str) -> Option<String> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let (engine, id) = part.rsplit_once('-').unwrap_or(("docker", part));
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let engine = match engine {
        "libpod" => "podman",
        "cri-containerd" => "containerd",
        other => other,
    };
    is_id.then(|| format!("{engine}/{}", shortened(id)))
}

fn shortened(id: &str) -> String {
    id.chars().take(ID_LENGTH).collect()
}

/// Both together.
pub(super) fn whole(program: &str, home: Option<&str>) -> String {
    let mut name = match home {
        Some(home) => format!("{program} ({home})"),
        None => program.to_owned(),
    };
    cut(&mut name, MOST_BYTES);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_program_is_named_without_its_arguments() {
        let named = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            program(&words, "comm")
        };
        assert_eq!(
            named(&["/usr/lib/postgresql/bin/postgres", "-D", "/secret"]),
            "postgres"
        );
        assert_eq!(named(&["postgres: main: checkpointer "]), "postgres");
        assert_eq!(named(&["mysqld --password=x"]), "mysqld");
        assert_eq!(named(&[]), "comm");
        assert_eq!(named(&["", "x"]), "comm");
    }

    #[test]
    fn its_container_or_service_is_told_in_short() {
        for (cgroups, expected) in [
            (
                format!("0::/system.slice/docker-{ID}.scope\n"),
                Some("docker/0123456789ab"),
            ),
            (
                format!("4:memory:/docker/{ID}\n0::/\n"),
                Some("docker/0123456789ab"),
            ),
            (
                format!("0::/user.slice/libpod-{ID}.scope/container\n"),
                Some("podman/0123456789ab"),
            ),
            (
                format!("0::/kubepods.slice/x/cri-containerd-{ID}.scope\n"),
                Some("containerd/0123456789ab"),
            ),
            ("0::/docker/abc123/sub\n".to_owned(), Some("docker/abc123")),
            (
                "1:name=systemd:/system.slice/redis.service\n".to_owned(),
                Some("redis.service"),
            ),
            ("0::/\n".to_owned(), None),
            ("0::/user.slice/session-3.scope\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(home(&cgroups).as_deref(), expected, "{cgroups:?}");
        }
        assert_eq!(whole("redis", Some("docker/ab")), "redis (docker/ab)");
    }
}
