//! Signals on their way to the command.

use std::{fs, os::unix::process::CommandExt, process::Command};

use highwater_agent::procfs::Procfs;

use crate::harness::{Place, kill, wait_for_file};

/// Counts each signal it gets into `got`, says `ready`, and ends with 9 on SIGUSR2.
///
/// By the wakeup descriptor, which has a byte for each: two that come before Python calls a handler are one call.
const COUNTER: &str = r#"
import os, signal, sys
counts = {}
came, wakeup = os.pipe()
os.set_blocking(wakeup, False)
signal.set_wakeup_fd(wakeup)
def note(number):
    counts[number] = counts.get(number, 0) + 1
    with open("got.new", "w") as file:
        file.write(" ".join(f"{signal.Signals(n).name}={c}" for n, c in sorted(counts.items())) + "\n")
    os.replace("got.new", "got")
    if number == signal.SIGUSR2:
        sys.exit(9)
for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2"):
    signal.signal(getattr(signal, "SIG" + name), lambda *_: None)
with open("ready", "w") as file:
    file.write(f"{os.getpid()}\n")
while True:
    note(os.read(came, 1)[0])
"#;

#[test]
fn what_is_sent_to_the_agent_reaches_the_command_and_the_agent_outlives_it() {
    let place = Place::new();
    let running = place.start(&["python3", "-c", COUNTER]);
    wait_for_file(&place.file("ready"));
    let mut expected = String::new();
    // In the order of their numbers, as the command writes them.
    for name in ["HUP", "INT", "QUIT", "USR1", "TERM"] {
        kill(running.pid(), name);
        let sent = format!("SIG{name}=1");
        crate::harness::wait_for(&sent, || {
            fs::read_to_string(place.file("got"))
                .ok()
                .filter(|got| got.contains(&sent))
        });
        expected = fs::read_to_string(place.file("got")).unwrap();
    }
    assert_eq!(
        expected,
        "SIGHUP=1 SIGINT=1 SIGQUIT=1 SIGUSR1=1 SIGTERM=1\n"
    );
    kill(running.pid(), "USR2");
    assert_eq!(running.end().code(), 9);
    assert_eq!(place.recorded().end.unwrap().forwarded_signal, Some(15));
}

#[test]
fn a_command_that_dies_of_the_signal_is_reported_so() {
    let place = Place::new();
    let running = place.start(&["sh", "-c", "echo ready > ready; exec sleep 600"]);
    wait_for_file(&place.file("ready"));
    kill(running.pid(), "TERM");
    assert_eq!(running.end().code(), 143);
    let end = place.recorded().end.unwrap();
    assert_eq!(
        (end.signal, end.exit_code, end.forwarded_signal),
        (Some(15), None, Some(15))
    );
}

/// Runs its arguments on a terminal of their own, types Ctrl-C once they are ready, and lets them end.
const TERMINAL: &str = r#"
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
def wait_for(name, text=""):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with open(name) as file:
                if text in file.read():
                    return
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    sys.exit("waited in vain for " + name)
wait_for("ready", "\n")
os.write(terminal, b"\x03")
wait_for("got", "SIGINT=")
os.kill(pid, signal.SIGUSR1)
wait_for("got", "SIGUSR1=1")
os.kill(pid, signal.SIGUSR2)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

#[test]
fn ctrl_c_reaches_the_command_once() {
    let place = Place::new();
    let agent = place.agent(&["python3", "-c", COUNTER]);
    let mut terminal = Command::new("python3");
    terminal
        .args(["-c", TERMINAL])
        .arg(agent.get_program())
        .args(agent.get_args());
    let status = terminal.current_dir(place.file("")).status().unwrap();
    assert_eq!(status.code(), Some(9));
    assert_eq!(
        fs::read_to_string(place.file("got")).unwrap(),
        "SIGINT=1 SIGUSR1=1 SIGUSR2=1\n"
    );
    assert_eq!(place.recorded().end.unwrap().forwarded_signal, Some(2));
}

#[test]
fn a_command_that_signals_its_own_group_is_not_answered() {
    let place = Place::new();
    // In a group of its own, or the test itself would be hit.
    let script = "import os, signal\nsignal.signal(signal.SIGTERM, lambda *a: print('got', flush=True))\nos.killpg(0, signal.SIGTERM)\n";
    let mut agent = place.agent(&["python3", "-c", script]);
    std::os::unix::process::CommandExt::process_group(&mut agent, 0);
    let output = agent.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "got\n");
    assert_eq!(place.recorded().end.unwrap().forwarded_signal, None);
}

/// In the order of their numbers.
const ONCE_EACH: &str = "SIGHUP=1 SIGINT=1 SIGQUIT=1 SIGUSR1=1 SIGUSR2=1 SIGTERM=1\n";

/// What the command counts where the agent runs below a `timeout`, which is sent each signal that it hands on, and the agent then SIGUSR1.
fn counted_below_timeout(options: &[&str]) -> String {
    let place = Place::new();
    let agent = place.agent(&["python3", "-c", COUNTER]);
    let mut timeout = place.bare("timeout");
    timeout
        .args(options)
        .arg("600")
        .arg(agent.get_program())
        .args(agent.get_args());
    // As a shell with job control begins it; without `--foreground` it takes a group of its own by itself.
    let mut timeout = timeout.process_group(0).spawn().unwrap();
    let command: u32 = wait_for_file(&place.file("ready")).trim().parse().unwrap();
    let stat = Procfs::system().stat(command, &mut Vec::new()).unwrap();
    for name in ["HUP", "INT", "QUIT", "TERM"] {
        kill(timeout.id(), name);
        wait_for_counted(&place, &format!("SIG{name}="));
    }
    kill(stat.unwrap().parent_pid, "USR1");
    wait_for_counted(&place, "SIGUSR1=");
    kill(command, "USR2");
    assert_eq!(timeout.wait().unwrap().code(), Some(9));
    assert_eq!(place.recorded().end.unwrap().forwarded_signal, Some(15));
    fs::read_to_string(place.file("got")).unwrap()
}

fn wait_for_counted(place: &Place, what: &str) {
    crate::harness::wait_for(what, || {
        let got = fs::read_to_string(place.file("got")).ok()?;
        got.contains(what).then_some(())
    });
}

#[test]
fn what_timeout_sends_to_the_whole_group_reaches_the_command_once() {
    let counted = counted_below_timeout(&[]);
    assert_eq!(counted, ONCE_EACH);
}

#[test]
fn what_timeout_sends_to_the_agent_alone_is_forwarded() {
    let counted = counted_below_timeout(&["--foreground"]);
    assert_eq!(counted, ONCE_EACH);
}
