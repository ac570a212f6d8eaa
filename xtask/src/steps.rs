//! What a task says while it works. A quiet one says a line a step with the time it took, and of the programs that it runs what one that failed had put out.

use std::{
    fmt::Display,
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::tools::Done;

static IS_QUIET: AtomicBool = AtomicBool::new(false);
/// Whether the line of a step waits for its time.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Has this task be quiet, unless somebody wants to see everything or nobody looks: the log of a CI is read afterwards.
pub(crate) fn quiet_unless(verbose: bool) {
    let in_ci = std::env::var("CI").is_ok_and(|word| is_set(&word));
    IS_QUIET.store(!verbose && !in_ci, Ordering::Relaxed);
}

fn is_set(word: &str) -> bool {
    !matches!(
        word.trim().to_ascii_lowercase().as_str(),
        "" | "0" | "false"
    )
}

pub(crate) fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Does a part of a task.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Done<T>) -> Done<T> {
    if !is_quiet() {
        println!("xtask: {what}");
        return work();
    }
    end_line();
    print!("xtask: {what} … ");
    // What cannot be written to the terminal is lost.
    let _ = std::io::stdout().flush();
    IS_OPEN.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let done = work();
    let how = told(done.is_ok(), began.elapsed());
    match IS_OPEN.swap(false, Ordering::Relaxed) {
        true => println!("{how}"),
        false => println!("xtask: {what}: {how}"),
    }
    done
}

fn told(is_good: bool, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match is_good {
        true => format!("{seconds:.1} s"),
        false => format!("failed after {seconds:.1} s"),
    }
}

/// Says something that everybody is to read, in a line of its own.
pub(crate) fn say(what: impl Display) {
    end_line();
    println!("xtask: {what}");
}

/// Says what is worth a line where all is shown.
pub(crate) fn mention(what: impl Display) {
    if !is_quiet() {
        println!("{what}");
    }
}

/// Shows what a program put out that failed.
pub(crate) fn show(output: &str) {
    end_line();
    eprintln!("{}", output.trim_end());
}

fn end_line() {
    if IS_OPEN.swap(false, Ordering::Relaxed) {
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_tells_its_time_and_whether_it_failed() {
        let took = Duration::from_millis(1_250);
        assert_eq!(told(true, took), "1.2 s");
        assert_eq!(told(false, took), "failed after 1.2 s");
    }

    #[test]
    fn a_ci_is_told_by_its_variable() {
        for word in ["true", "1", "yes"] {
            assert!(is_set(word), "{word}");
        }
        for word in ["", " ", "0", "False"] {
            assert!(!is_set(word), "{word}");
        }
    }
}
