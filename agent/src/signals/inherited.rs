//! What this program was started with of signals and standard streams, so that its command is started with the same.
//!
//! A signal that is ignored stays so after exec, and so does the mask of those that are blocked; programs rely on both. Here three get in the way: Rust's
//! runtime ignores SIGPIPE before `main` begins, its `Command` gives every child the default of SIGPIPE and an empty mask, and the agent
//! has a handler for SIGCHLD, which exec turns into the default. The runtime also opens `/dev/null` in the place of each standard stream that is closed, and a
//! program that was started without one ends otherwise than one that has it. So it is looked at before the runtime begins, and restored in the child between
//! fork and exec.

use std::{
    io,
    os::unix::process::CommandExt,
    process::Command,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Signals that a child is not given as they were inherited; the other ones the agent leaves alone where they were ignored.
const CHANGED: [(i32, &AtomicBool); 2] = [
    (libc::SIGPIPE, &PIPE_WAS_IGNORED),
    (libc::SIGCHLD, &CHILD_WAS_IGNORED),
];
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);
static CHILD_WAS_IGNORED: AtomicBool = AtomicBool::new(false);
/// Whether standard input, output and error were closed.
static WERE_CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

/// The system calls this before the runtime begins.
#[used]
#[cfg_attr(
    target_vendor = "apple",
    unsafe(link_section = "__DATA,__mod_init_func")
)]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[expect(
    unsafe_code,
    reason = "only what runs before the runtime sees what was inherited"
)]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for (signal, was_ignored) in CHANGED {
        was_ignored.store(is_ignored(signal), Ordering::Relaxed);
    }
    for (stream, was_closed) in (0..).zip(&WERE_CLOSED) {
        was_closed.store(is_closed(stream), Ordering::Relaxed);
    }
}

fn is_closed(descriptor: i32) -> bool {
    // SAFETY: the call changes nothing, and that the number may be no open descriptor is what is asked for.
    #[expect(
        unsafe_code,
        reason = "a safe call takes only a descriptor that is open"
    )]
    unsafe {
        libc::fcntl(descriptor, libc::F_GETFD) == -1
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all bits of the structure are integers or a pointer that nobody follows, for which zeros are valid; the call writes to it alone and changes
    // no disposition.
    #[expect(unsafe_code, reason = "rustix has no safe call for sigaction")]
    unsafe {
        let mut current: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, ptr::null(), &raw mut current) == 0
            && current.sa_sigaction == libc::SIG_IGN
    }
}

/// Has a command begin with the signals and the standard streams as this program found them. Where the command would do so anyway it is left as it is, since a child that is
/// started by fork and exec takes longer than one that is spawned.
pub fn hand_on(command: &mut Command) {
    let ignored = CHANGED.map(|(signal, was_ignored)| {
        let is_kept = was_ignored.load(Ordering::Relaxed);
        is_kept.then_some(signal)
    });
    let blocked = blocked();
    let mut closed = [None; 3];
    for ((stream, was_closed), closed) in (0..).zip(&WERE_CLOSED).zip(&mut closed) {
        *closed = was_closed.load(Ordering::Relaxed).then_some(stream);
    }
    let none = |numbers: &[Option<i32>]| numbers.iter().all(Option::is_none);
    if blocked.is_none() && none(&ignored) && none(&closed) {
        return;
    }
    // SAFETY: between fork and exec there is nothing but three system calls that are allowed there.
    #[expect(
        unsafe_code,
        reason = "what is inherited is changed in the child alone"
    )]
    unsafe {
        command.pre_exec(move || restore(&ignored, &closed, blocked.as_ref()));
    }
}

fn restore(
    ignored: &[Option<i32>],
    closed: &[Option<i32>],
    blocked: Option<&libc::sigset_t>,
) -> io::Result<()> {
    for stream in closed.iter().flatten() {
        // SAFETY: the stream is what the runtime put there, and nothing is read or written between here and exec.
        #[expect(
            unsafe_code,
            reason = "the standard library owns the streams and never closes them"
        )]
        unsafe {
            libc::close(*stream);
        }
    }
    for signal in ignored.iter().flatten() {
        // SAFETY: SIG_IGN is no function that could be called.
        #[expect(unsafe_code, reason = "rustix has no safe call for signal")]
        unsafe {
            libc::signal(*signal, libc::SIG_IGN);
        }
    }
    if let Some(blocked) = blocked {
        // SAFETY: it reads the set, which outlives the call.
        #[expect(unsafe_code, reason = "rustix has no safe call for the mask")]
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, blocked, ptr::null_mut());
        }
    }
    Ok(())
}

/// The signals that are blocked in this thread, which blocks none itself; `None` where there are none.
fn blocked() -> Option<libc::sigset_t> {
    // SAFETY: zeros are a valid set; the calls write to it and read it, and change no mask.
    #[expect(unsafe_code, reason = "rustix has no safe call for the mask")]
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        let known = libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut set) == 0;
        let any = (1..=MOST_SIGNALS).any(|signal| libc::sigismember(&raw const set, signal) == 1);
        (known && any).then_some(set)
    }
}

/// The highest number of a signal.
const MOST_SIGNALS: i32 = 64;
