//! Inputs to begin with: what the kernel of this machine says, the recordings and files of the repository, and a program that is compiled here.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use highwater_agent::spool::{self, Recorded};
use prost::Message;

use crate::{
    environ::{HEAP, PROGRAM},
    kernel::{FILES_OF_CGROUP, FILES_OF_MACHINE, FILES_OF_PROCESS},
    pieces::BETWEEN,
};

/// A longer input is cut or left out: what is found with a short one is found sooner.
const MOST_BYTES: usize = 16 << 10;
/// A program with the variable `environ` at a place that is known.
const PROGRAM_TEXT: &str = "char **environ = (char **)0x80000;\n";

/// Makes the inputs of every target, each in a folder of its name.
///
/// # Errors
/// When a fixture cannot be read or an input not be written.
pub fn make(folder: &Path) -> io::Result<()> {
    let mut inputs = Inputs {
        folder: folder.to_owned(),
        made: 0,
    };
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let fixtures = repository.join("e2e/fixtures");
    for scenario in sorted(&fixtures.join("recorded"))? {
        for job in sorted(&scenario).unwrap_or_default() {
            if let Ok(recorded) = spool::read(&job) {
                of_recording(&recorded, &mut inputs)?;
            }
        }
    }
    for file in sorted(&fixtures.join("foreign"))? {
        match file.extension().and_then(|it| it.to_str()) {
            Some("dat") => inputs.add("mprof", &fs::read(&file)?)?,
            Some("pymon") => inputs.add_whole("pymon", &fs::read(&file)?)?,
            _ => {}
        }
    }
    for file in sorted(&repository.join("pytest-plugin/tests/golden"))? {
        if file.extension().is_some_and(|it| it == "events") {
            inputs.add("events", &fs::read(&file)?)?;
        }
    }
    let logs = repository.join("agent/src/witness/kernel_log");
    for file in sorted(&logs)? {
        if file.extension().is_some_and(|it| it == "kmsg") {
            inputs.add("kernel_log", &fs::read(&file)?)?;
        }
    }
    of_this_machine(&mut inputs)?;
    of_memory(folder, &mut inputs)?;
    of_words(&mut inputs)
}

struct Inputs {
    folder: PathBuf,
    made: u32,
}

impl Inputs {
    fn add(&mut self, target: &str, bytes: &[u8]) -> io::Result<()> {
        self.add_whole(target, &bytes[..bytes.len().min(MOST_BYTES)])
    }

    fn add_whole(&mut self, target: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        self.made += 1;
        fs::write(folder.join(format!("seed-{:03}", self.made)), bytes)
    }
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The job, its end and some batches: the first, the last, and the smallest.
fn of_recording(recorded: &Recorded, inputs: &mut Inputs) -> io::Result<()> {
    let job = recorded.job.encode_to_vec();
    let end = recorded.end.as_ref().map(Message::encode_to_vec);
    let end = end.unwrap_or_default();
    let mut batches: Vec<_> = recorded.batches.iter().map(|(_, _, it)| it).collect();
    batches.sort_by_key(|batch| batch.encoded_len());
    let few: Vec<_> = batches.iter().take(3).chain(batches.last()).collect();
    let mut story = vec![job.clone(), end.clone()];
    for batch in few {
        let bytes = batch.encode_to_vec();
        if bytes.len() > MOST_BYTES {
            continue;
        }
        inputs.add("batch", &bytes)?;
        inputs.add("frame", &zstd::bulk::compress(&bytes, 1)?)?;
        inputs.add("json", &serde_json::to_vec(batch)?)?;
        inputs.add("spool", &joined(&[&job, &end, &bytes, b""]))?;
        story.push(bytes);
    }
    for message in [&job, &end] {
        inputs.add("batch", message)?;
    }
    inputs.add("json", &serde_json::to_vec(&recorded.job)?)?;
    let pieces: Vec<&[u8]> = story.iter().map(Vec::as_slice).collect();
    inputs.add_whole("digest", &joined(&pieces))
}

/// Processes that anybody may read, the machine, and cgroups.
fn of_this_machine(inputs: &mut Inputs) -> io::Result<()> {
    let read = |path: PathBuf| fs::read(path).unwrap_or_default();
    for pid in ["self", "1"] {
        let proc = Path::new("/proc").join(pid);
        let own = fs::read_link(&proc).unwrap_or_else(|_| pid.into());
        let files = FILES_OF_PROCESS.map(|name| {
            let name = name.replace('7', &own.display().to_string());
            read(proc.join(name))
        });
        inputs.add("process", &joined(&files.each_ref().map(Vec::as_slice)))?;
    }
    let files = FILES_OF_MACHINE.map(|name| read(Path::new("/proc").join(name)));
    inputs.add("machine", &joined(&files.each_ref().map(Vec::as_slice)))?;
    for (cgroup, mounts) in [
        (
            "0::/a/b\n",
            "30 20 0:26 / {root}/cg rw - cgroup2 cgroup2 rw,nsdelegate\n",
        ),
        (
            "9:cpu:/\n8:memory:/a/b\n",
            "31 20 0:27 / {root}/cg rw - cgroup cgroup rw,memory\n",
        ),
    ] {
        let files = FILES_OF_CGROUP.map(|name| match name {
            "memory.max" => b"max\n".to_vec(),
            "memory.events" => {
                b"low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n".to_vec()
            }
            "memory.oom_control" => b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n".to_vec(),
            "memory.stat" => b"anon 5\ninactive_file 300\ntotal_inactive_file 700\n".to_vec(),
            _ => b"104857600\n".to_vec(),
        });
        let files = joined(&files.each_ref().map(Vec::as_slice));
        inputs.add(
            "cgroup",
            &joined(&[cgroup.as_bytes(), mounts.as_bytes(), &files]),
        )?;
    }
    Ok(())
}

/// A process that runs a test, as its memory shows it: a program compiled here, and a heap with an environment.
fn of_memory(folder: &Path, inputs: &mut Inputs) -> io::Result<()> {
    let (source, program) = (folder.join("program.c"), folder.join("program"));
    fs::create_dir_all(folder)?;
    fs::write(&source, PROGRAM_TEXT)?;
    let mut compile = Command::new("cc");
    // All of it in one piece, so that what is in the file lies in memory as it does there.
    compile.args(["-shared", "-nostdlib", "-s", "-Wl,-N,--build-id=none", "-o"]);
    let is_compiled = compile.arg(&program).arg(&source).status()?.success();
    let bytes = if is_compiled {
        fs::read(&program)?
    } else {
        Vec::new()
    };
    for path in [&source, &program] {
        fs::remove_file(path)?;
    }
    let maps = format!(
        "{PROGRAM:x}-{HEAP:x} r-xp 00000000 fe:00 9   {{root}}/program\n{HEAP:x}-{:x} rw-p 00000000 00:00 0   [heap]\n",
        HEAP + 0x1000
    );
    let stat = "7 (python) S 3 1 1 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 819411 3133440 394 18446744073709551615 1 1 1 1 1 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 528384 528392 0\n";
    let mut heap = Vec::new();
    // The array, then its strings at places of their own; the first was there at exec.
    for at in [0x100, 0x40, 0x80, 0] {
        let pointer = if at == 0 { 0 } else { HEAP + at };
        heap.extend(pointer.to_ne_bytes());
    }
    for (at, text) in [
        (0x40, "PYTEST_XDIST_WORKER=gw0\0"),
        (0x80, "PYTEST_CURRENT_TEST=a/t.py::C::t[x (y)] (call)\0"),
        (0x100, "HOME=/\0"),
    ] {
        heap.resize(at, 0);
        heap.extend(text.as_bytes());
    }
    for title in ["python\0-m\0pytest\0", "[pytest-xdist running] a/t.py::t\0"] {
        let pieces = [
            maps.as_bytes(),
            stat.as_bytes(),
            title.as_bytes(),
            &heap,
            &bytes,
        ];
        inputs.add("environ", &joined(&pieces))?;
    }
    Ok(())
}

/// Texts: commands with secrets, requests, tokens.
fn of_words(inputs: &mut Inputs) -> io::Result<()> {
    for text in [
        "psql\n--password=hunter2\n-d\nx",
        "env DB_PASSWORD=hunter2 pytest --api-key abc tests",
        "x '{\"token\": \"abc\", \"n\": 1}'",
        "curl -H 'Authorization: Bearer abcdefgh12345678'",
        "db postgres://u:hunter2@h:5/d git clone https://0123456789abcdef0123@h/r",
        "t.py::t[password=a1b2c3d4-https://u:p@h/x]",
        "glpat-a1B2c3D4e5F6g7H8a1B2",
        "sh -c 'curl -sSu me:hunter2 //u:p@ss@h:5/d | mysql -uroot -phunter2'",
        "sshpass\n-p\nhunter2\nssh\n-p\n22\nme@h\ndocker\nlogin\n-p\nhunter2",
        "['--password', 'hunter2'] AccountKey=a1B2==;x https://a/c?sig=a1B2&se=2",
    ] {
        inputs.add("mask", text.as_bytes())?;
    }
    let job = "01a213f0-0d7e-7651-8c5c-de604658fe5c";
    for address in [
        "/api/v1/projects?limit=2&after=1_2".to_owned(),
        "/api/v1/projects/owner~repo/jobs?branch=main&name=mprof&verdict=success&limit=1&after=5_7"
            .to_owned(),
        "/api/v1/projects/owner~repo/runs?limit=1".to_owned(),
        "/api/v1/projects/owner~repo/files/a/test_b.py?limit=9".to_owned(),
        format!("/api/v1/jobs/{job}/series?from=-5&to=9000000&points=7"),
        format!("/api/v1/jobs/{job}/tests?limit=3&after=2"),
        format!("/api/v1/jobs/{job}/check?max_peak=9&file_limit=a/*=max-spike:1kB,max-peak:off"),
        format!("/api/v1/jobs/{job}/export?format=csv&what=series"),
        format!("/jobs/{job}?sort=peak&files=all\ncookie: highwater=abc"),
        "/projects/owner~repo?after=1_2\naccept-encoding: gzip".to_owned(),
        "/sign-in?to=%2Fjobs%2Fx\nauthorization: Bearer hw_0123456789abcdef_00".to_owned(),
    ] {
        inputs.add("request", address.as_bytes())?;
    }
    // A public key of a test that is in RFC 7517, appendix A.1, and a token of which the signature is none.
    let keys = concat!(
        r#"{"keys":[{"kty":"RSA","kid":"2011-04-29","alg":"RS256","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1"#,
        "RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHz",
        r#"u6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}]}"#
    );
    let token =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6IjIwMTEtMDQtMjkifQ.eyJyZXBvc2l0b3J5IjoiYWNtZS93ZWIifQ.AAAA";
    let claims = r#"{"iss":"https://token.actions.githubusercontent.com","repository":"acme/web","sub":"repo:acme/web"}"#;
    inputs.add(
        "token",
        &joined(&[keys.as_bytes(), token.as_bytes(), claims.as_bytes()]),
    )
}

fn joined(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.join(BETWEEN)
}
