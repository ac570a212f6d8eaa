use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::sync_channel,
};

use super::*;
use crate::{
    clock::{JobClock, monotonic_us},
    sampler::{Seen, Teller},
    tree::TreeEvent,
};

/// A process that answers has come to its full size.
fn child() -> Child {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    child
}

#[test]
fn a_process_is_called_the_same_by_two_who_look_and_is_gone_once_dead() {
    let mut child = child();
    let (mut one, mut other) = (Processes::new().unwrap(), Processes::new().unwrap());
    one.look_at_all();
    other.look_at_command(child.id());
    let (first, second) = (
        one.seen(child.id()).unwrap(),
        other.seen(child.id()).unwrap(),
    );
    assert_eq!(first.key, second.key);
    assert_eq!(first.parent_pid, std::process::id());
    assert!(first.resident_bytes > 100_000, "{first:?}");
    assert_eq!(other.words(child.id()), ["cat"]);
    child.kill().unwrap();
    // Dead, and not reaped yet: there is no memory left to tell of.
    rustix::process::waitid(
        rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child)),
        rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
    )
    .unwrap();
    one.look_at_all();
    assert_eq!(one.seen(child.id()), None);
    child.wait().unwrap();
    other.look_at_command(child.id());
    assert_eq!(other.seen(child.id()), None);
}

#[test]
fn ticks_become_blocks_and_an_end_is_told() {
    let mut child = child();
    let (sender, seen) = sync_channel(1_000);
    let mut sampler = PortableSampler::new(PortableProps {
        processes: Processes::new().unwrap(),
        clock: JobClock::new(monotonic_us().cast_unsigned()),
        interval_us: 200_000,
        agent_pid: std::process::id(),
        command_pid: child.id(),
        words: vec!["cat".to_owned()],
        teller: Teller::new(sender),
    });
    for tick in 0..=5 {
        sampler.tick(tick * 200_000);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    sampler.tick(1_200_000);
    sampler.tick(2_000_000);
    drop(sampler);
    let (mut ticks, mut values, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for seen in &seen {
        match seen {
            Seen::Grid(block) => {
                let own = block
                    .columns
                    .iter()
                    .filter(|column| column.key.pid == child.id());
                values.extend(own.flat_map(|column| column.rss.clone()));
                ticks.extend(block.t_us);
            }
            Seen::Tree(TreeEvent::Gone { key }, t_us) if key.pid == child.id() => gone.push(t_us),
            Seen::Second(reading) => assert!(reading.machine.total_bytes > Some(1 << 20)),
            _ => {}
        }
    }
    // Other tests of this program have children too, so there may be ticks after.
    assert_eq!(
        ticks[..6],
        [0, 200_000, 400_000, 600_000, 800_000, 1_000_000]
    );
    assert_eq!(values.len(), 6);
    assert!(values.iter().all(|bytes| *bytes > 100_000), "{values:?}");
    assert_eq!(gone, [1_200_000]);
}
