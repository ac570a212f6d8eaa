//! The environment of living processes: which test they run, read from outside.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use highwater_agent::{
    environ::{Look, Phase, Reader, Reason},
    procfs::Procfs,
};
use tempfile::TempDir;

use crate::harness::not_run;

/// Does what each line says, and answers.
const PYTHON: &str = r"
import os, sys
for line in sys.stdin:
    exec(line)
    print('done', flush=True)
";

/// Takes the same kind of orders: `s VALUE` by setenv, `p VALUE` by putenv, `w NAME`, `u` unset, `x` exec itself, `r COUNT` races.
const C: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
char **volatile saved;
int main(int argc, char **argv, char **envp) {
    static char line[20000];
    (void)argc;
    saved = envp;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        const char *rest = line[1] ? line + 2 : "";
        if (*line == 's') setenv("PYTEST_CURRENT_TEST", rest, 1);
        if (*line == 'w') setenv("PYTEST_XDIST_WORKER", rest, 1);
        if (*line == 'u') unsetenv("PYTEST_CURRENT_TEST");
        if (*line == 'c') clearenv();
        if (*line == 'p') {
            char *text = malloc(strlen(rest) + 30);
            sprintf(text, "PYTEST_CURRENT_TEST=%s", rest);
            putenv(text);
        }
        if (*line == 'm')
            for (int i = 0; i < atoi(rest); i++) {
                char name[40];
                sprintf(name, "MORE_%d", i);
                setenv(name, "x", 1);
            }
        if (*line == 'x') {
            puts("done");
            fflush(stdout);
            execv("/proc/self/exe", argv);
        }
        if (*line == 'r')
            for (int i = 0; i < atoi(rest); i++) {
                char value[300], fill[200];
                int length = i % 190;
                memset(fill, 'a' + i % 26, length);
                fill[length] = 0;
                sprintf(value, "t.py::t[%d-%s-%d] (%s)", i, fill, i, i % 2 ? "call" : "setup");
                setenv("PYTEST_CURRENT_TEST", value, 1);
                if (i % 7 == 0) setenv("MORE", value, 1);
                if (i % 14 == 0) unsetenv("MORE");
                if (i % 50 == 0) unsetenv("PYTEST_CURRENT_TEST");
                for (volatile int pause = 0; pause < i % 5 * 10000; pause++) {}
            }
        puts("done");
        fflush(stdout);
    }
    return 0;
}
"#;

/// A process that takes orders, ended with the test.
struct Target {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Target {
    fn start(command: &mut Command) -> Self {
        command
            .env_remove("PYTEST_CURRENT_TEST")
            .env_remove("PYTEST_XDIST_WORKER");
        Self::start_as_it_is(command)
    }

    fn start_as_it_is(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            orders,
            answers,
        }
    }

    fn python(python: &str) -> Self {
        Self::start(Command::new(python).args(["-c", PYTHON]))
    }

    fn send(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    fn wait(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }

    fn order(&mut self, order: &str) {
        self.send(order);
        self.wait();
    }

    fn reader(&self) -> Reader {
        Reader::new(Procfs::system(), self.child.id())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn running(nodeid: &str, phase: Phase) -> Look<'_> {
    Look::Running {
        nodeid,
        phase: Some(phase),
    }
}

/// Every python whose `environ` may lie elsewhere: the one on the path, and the system's, whose executable has its own.
fn pythons() -> Vec<&'static str> {
    let system = "/usr/bin/python3";
    let mut found = vec!["python3"];
    if Path::new(system).exists() {
        found.push(system);
    } else {
        not_run("no /usr/bin/python3, whose executable has its own environ");
    }
    found
}

/// Builds the C program, with more flags; `None` where that cannot be done.
fn compiled(folder: &Path, compiler: &str, flags: &[&str]) -> Option<Command> {
    let (source, program) = (folder.join("target.c"), folder.join("target"));
    fs::write(&source, C).unwrap();
    let output = Command::new(compiler)
        .args(["-O1", "-o"])
        .args([&program, &source])
        .args(flags)
        .output();
    match output {
        Ok(output) if output.status.success() => Some(Command::new(program)),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            not_run(&format!("{compiler} {flags:?} failed: {said}"));
            None
        }
        Err(error) => {
            not_run(&format!("no {compiler}: {error}"));
            None
        }
    }
}

#[test]
fn a_python_tells_its_test_and_its_worker() {
    for python in pythons() {
        let mut target = Target::python(python);
        target.order("pass");
        let mut reader = target.reader();
        assert_eq!(reader.look(), Look::Idle, "{python}");
        target.order("os.environ['PYTEST_XDIST_WORKER'] = 'gw3'");
        target.order("os.environ['PYTEST_CURRENT_TEST'] = 'a/t.py::test[x (y) z] (setup)'");
        assert_eq!(
            reader.look(),
            running("a/t.py::test[x (y) z]", Phase::Setup)
        );
        assert_eq!(reader.worker(), Some("gw3"));
        target.order("os.environ['PYTEST_CURRENT_TEST'] = 'a/t.py::test[x (y) z] (call)'");
        assert_eq!(reader.look(), running("a/t.py::test[x (y) z]", Phase::Call));
        // Others come and go before and after it.
        target.order("os.environ.update({f'LATER_{i}': 'x' * i for i in range(600)})");
        assert_eq!(reader.look(), running("a/t.py::test[x (y) z]", Phase::Call));
        target.order(
            "del os.environ['PATH']; os.environ['PYTEST_CURRENT_TEST'] = 'b.py::t (teardown)'",
        );
        assert_eq!(reader.look(), running("b.py::t", Phase::Teardown));
        target.order("del os.environ['PYTEST_CURRENT_TEST']");
        assert_eq!(reader.look(), Look::Idle);
        target.order("os.environ['PYTEST_CURRENT_TEST'] = 'ä/試.py::t[' + 'я' * 2000 + '] (call)'");
        let long = format!("ä/試.py::t[{}]", "я".repeat(2000));
        assert_eq!(reader.look(), running(&long, Phase::Call));
        target.order("os.environ['PYTEST_CURRENT_TEST'] = 'x' * 20000");
        assert_eq!(reader.look(), Look::Unknown(&Reason::TooLarge));
        target.order("os.environ['PYTEST_CURRENT_TEST'] = 'c.py::t (call)'");
        assert_eq!(reader.look(), running("c.py::t", Phase::Call));
        target.child.kill().unwrap();
        target.child.wait().unwrap();
        assert_eq!(reader.look(), Look::Unknown(&Reason::Gone));
    }
}

#[test]
fn a_process_that_has_ended_and_is_not_reaped_is_gone() {
    let mut target = Target::python("python3");
    target.order("pass");
    let mut reader = target.reader();
    assert_eq!(reader.look(), Look::Idle);
    target.child.kill().unwrap();
    crate::harness::wait_for("the end of the target", || {
        matches!(reader.look(), Look::Unknown(Reason::Gone)).then_some(())
    });
    assert_eq!(target.reader().look(), Look::Unknown(&Reason::Gone));
}

/// The ways to link the program. Linked statically and stripped it has no symbol left: its data is gone through.
const LINKED: [(&str, &[&str]); 12] = [
    ("cc", &[]),
    ("cc", &["-no-pie"]),
    ("cc", &["-s"]),
    ("cc", &["-static"]),
    ("cc", &["-static-pie"]),
    ("cc", &["-no-pie", "-s"]),
    ("cc", &["-static", "-s"]),
    ("cc", &["-static-pie", "-s"]),
    ("musl-gcc", &[]),
    ("musl-gcc", &["-s"]),
    ("musl-gcc", &["-static"]),
    ("musl-gcc", &["-static", "-s"]),
];

#[test]
fn a_program_tells_its_test_however_it_is_linked() {
    for (compiler, flags) in LINKED {
        let folder = TempDir::new().unwrap();
        let Some(mut command) = compiled(folder.path(), compiler, flags) else {
            continue;
        };
        let mut target = Target::start(&mut command);
        target.order("p t.py::put (call)");
        let mut reader = target.reader();
        assert_eq!(
            reader.look(),
            running("t.py::put", Phase::Call),
            "{flags:?}"
        );
        target.order("w gw12");
        target.order("s t.py::set (setup)");
        assert_eq!(reader.look(), running("t.py::set", Phase::Setup));
        target.order("u");
        assert_eq!(reader.look(), Look::Idle);
        assert_eq!(reader.worker(), Some("gw12"));
        target.order("s t.py::before (call)");
        target.order("m 2000");
        assert_eq!(reader.look(), running("t.py::before", Phase::Call));
        target.order("m 9000");
        assert_eq!(reader.look(), Look::Unknown(&Reason::TooLarge));
        target.order("c");
        assert_eq!(reader.look(), Look::Idle);
        // The program that it becomes has another memory, laid elsewhere; something of what it is given must stay.
        target.order("m 2");
        target.order("s t.py::inherited (call)");
        assert_eq!(reader.look(), running("t.py::inherited", Phase::Call));
        target.order("x");
        target.order("s t.py::after (call)");
        assert_eq!(reader.look(), running("t.py::after", Phase::Call));
        target.order("u");
        assert_eq!(reader.look(), Look::Idle, "{flags:?}");
    }
}

#[test]
fn where_no_data_points_to_an_environment_no_symbol_is_told() {
    let folder = TempDir::new().unwrap();
    let Some(mut command) = compiled(folder.path(), "cc", &["-static", "-s"]) else {
        return;
    };
    let target = Target::start(command.env_clear());
    let mut reader = target.reader();
    crate::harness::wait_for("the program", || {
        matches!(reader.look(), Look::Unknown(Reason::NoSymbol)).then_some(())
    });
}

#[test]
fn a_test_that_was_inherited_is_not_the_one_that_runs() {
    let folder = TempDir::new().unwrap();
    for flags in [&[][..], &["-static", "-s"]] {
        let Some(mut command) = compiled(folder.path(), "cc", flags) else {
            continue;
        };
        let mut target =
            Target::start_as_it_is(command.env("PYTEST_CURRENT_TEST", "o.py::o (call)"));
        target.order("w gw0");
        let mut reader = target.reader();
        assert_eq!(reader.look(), Look::Idle, "{flags:?}");
        target.order("s t.py::own (call)");
        assert_eq!(reader.look(), running("t.py::own", Phase::Call));
        target.order("u");
        assert_eq!(reader.look(), Look::Idle);
    }
}

#[test]
fn what_is_read_amid_changes_is_never_malformed() {
    let folder = TempDir::new().unwrap();
    let Some(mut command) = compiled(folder.path(), "cc", &[]) else {
        return;
    };
    let mut target = Target::start(&mut command);
    target.order("u");
    let mut reader = target.reader();
    target.send("r 50000");
    let mut seen = HashSet::new();
    let began = Instant::now();
    loop {
        match reader.look() {
            Look::Running { nodeid, phase } => {
                well_formed(nodeid, phase);
                seen.insert(nodeid.to_owned());
                if nodeid.starts_with("t.py::t[49999-") {
                    target.wait();
                    // On a machine that is busy few looks meet a change; so many of them must.
                    if seen.len() > 1000 {
                        break;
                    }
                    target.order("u");
                    target.send("r 50000");
                }
            }
            Look::Idle | Look::Unknown(Reason::Changing) => {}
            Look::Unknown(reason) => panic!("{reason}"),
        }
        assert!(began.elapsed().as_secs() < 60, "{} seen", seen.len());
    }
}

/// A node id as the program writes it: its number stands at both ends and says what is between.
fn well_formed(nodeid: &str, phase: Option<Phase>) {
    let inner = nodeid
        .strip_prefix("t.py::t[")
        .and_then(|rest| rest.strip_suffix(']'));
    let parts: Vec<&str> = inner.unwrap_or("").split('-').collect();
    let [number, fill, again] = parts[..] else {
        panic!("{nodeid}");
    };
    assert_eq!(number, again, "{nodeid}");
    let number: usize = number.parse().unwrap();
    let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
    assert_eq!(fill, letter.to_string().repeat(number % 190), "{nodeid}");
    let expected = if number % 2 == 1 {
        Phase::Call
    } else {
        Phase::Setup
    };
    assert_eq!(phase, Some(expected), "{nodeid}");
}

#[test]
fn a_process_of_another_user_is_told_as_such() {
    if !rustix::process::geteuid().is_root() {
        return not_run("reading as another user: only root can become one");
    }
    // The test itself reads every process; as another user its child cannot read this one.
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "living::helper_of_another_user",
            "--ignored",
            "--nocapture",
        ])
        .env("HIGHWATER_TEST_TARGET", std::process::id().to_string())
        .current_dir("/")
        .uid(65_534)
        .gid(65_534)
        .output();
    match status {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("1 passed"), "{said}");
        }
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => not_run(&format!("this test as another user: {error}")),
    }
}

#[test]
#[ignore = "runs as another user, below the test of it"]
fn helper_of_another_user() {
    let Ok(pid) = std::env::var("HIGHWATER_TEST_TARGET") else {
        return;
    };
    let mut reader = Reader::new(Procfs::system(), pid.parse().unwrap());
    assert_eq!(reader.look(), Look::Unknown(&Reason::OtherUser { uid: 0 }));
}
