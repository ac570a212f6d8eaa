use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
};

use super::*;
use crate::{cgroup::Cgroups, clock::monotonic_us, tree::TreeEvent};

/// A sampler over a real process that lives until its input is closed.
fn sampler() -> (Child, Sampler<Seen>, Receiver<Seen>) {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that answers has come to its full size: one that has just been started has next to nothing.
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let procfs = Procfs::system();
    // Ticks here are told their time. What is read for another reason asks the clock, which stands before all of them: it is told as read right
    // after the last tick, however long the test takes.
    let clock = JobClock::new(monotonic_us().cast_unsigned() + 3_600_000_000);
    let own = std::process::id();
    let mut tree = Tree::new(procfs.clone(), own, rustix::param::page_size() as u64);
    let discovery = Discovery::begin(&tree, child.id(), 0);
    tree.adopt(child.id(), vec!["cat".to_owned()], 0).unwrap();
    let cgroups = Cgroups::of(&procfs, own).unwrap();
    let seconds = Seconds::new(procfs.open_machine().unwrap(), cgroups);
    let (sender, seen) = sync_channel(1_000);
    let sampler = Sampler::new(SamplerProps {
        procfs,
        clock,
        interval_us: 50_000,
        tree,
        discovery,
        seconds,
        protector: None,
        sights: Sights::new(Procfs::system(), "/no/events".into(), Unwatched::default()),
        teller: Teller::new(sender),
        budget_bytes: 0,
        spares: Spares::default(),
        pace: Pace::default(),
    });
    (child, sampler.unwrap(), seen)
}

fn column_of(block: &GridBlock, pid: u32) -> &Column {
    block
        .columns
        .iter()
        .find(|column| column.key.pid == pid)
        .unwrap()
}

#[test]
fn when_memory_is_short_blocks_and_readings_do_not_wait_for_the_second() {
    let (mut child, mut sampler, seen) = sampler();
    sampler.tick(0);
    // The process has more than that, so nothing is left of the budget from the next reading on.
    sampler.budget_bytes = 1;
    for tick in 1..=40 {
        sampler.tick(tick * 50_000);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(sampler);
    let (mut blocks, mut seconds) = (Vec::new(), Vec::new());
    for seen in &seen {
        match seen {
            Seen::Grid(block) => blocks.push(block.t_us),
            Seen::Second(reading) => seconds.push(reading.t_us),
            Seen::WholeSecond(block, reading) => {
                blocks.push(block.t_us);
                seconds.push(reading.t_us);
            }
            _ => {}
        }
    }
    // What the kernel's log tells meanwhile is read at once, a moment after what was read last.
    seconds.dedup_by(|next, before| *next - *before < 50);
    assert_eq!(
        seconds,
        [
            0, 1_000_000, 1_200_000, 1_400_000, 1_600_000, 1_800_000, 2_000_000
        ]
    );
    assert_eq!(blocks[0].len(), 20);
    assert_eq!(
        blocks[1..3],
        [[1_000_000, 1_050_000], [1_100_000, 1_150_000]]
    );
}

#[test]
fn whoever_says_that_it_runs_pytest_is_sampled_where_finding_it_may_cost_nothing_more() {
    let (mut child, mut sampler, _seen) = sampler();
    sampler.tick(0);
    sampler.discovery.use_up(0);
    let mut born = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let is_member = |sampler: &Sampler<Seen>| {
        let members = sampler.tree.members();
        members.iter().any(|member| member.key.pid == born.id())
    };
    sampler.tick(50_000);
    // Where the kernel lists children it is found by its parent's.
    let before = is_member(&sampler);
    sampler.writers.name(born.id());
    sampler.tick(100_000);
    let after = is_member(&sampler);
    for child in [&mut child, &mut born] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(after, "{before}");
}

#[test]
fn the_children_of_members_are_found_where_births_elsewhere_have_used_up_the_rest() {
    let (mut child, mut sampler, _seen) = sampler();
    sampler.tick(0);
    sampler.discovery.use_up(0);
    let mut parent = Command::new("sh")
        .args(["-c", "sleep 60 & echo $!; wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let grandchild: u32 = line.trim().parse().unwrap();
    sampler.writers.name(parent.id());
    sampler.tick(50_000);
    // A busy machine may have made the first look cost more than one tick's share.
    let found = (2..100).any(|tick| {
        sampler.tick(tick * 50_000);
        let mut members = sampler.tree.members().iter();
        members.any(|member| member.key.pid == grandchild)
    });
    for child in [&mut child, &mut parent] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(grandchild.cast_signed()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert!(found);
}

#[test]
fn each_second_becomes_one_block() {
    let (mut child, mut sampler, seen) = sampler();
    for tick in 0..=40 {
        sampler.tick(tick * 50_000);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    sampler.tick(2_050_000);
    sampler.tick(3_000_000);
    drop(sampler);
    let mut blocks = Vec::new();
    let (mut seconds, mut gone, mut exits) = (Vec::new(), Vec::new(), Vec::new());
    for seen in &seen {
        match seen {
            Seen::Grid(block) => blocks.push(block),
            Seen::WholeSecond(block, reading) => {
                blocks.push(block);
                seconds.push(reading.t_us);
            }
            // The end of the child has one more, at a time of its own.
            Seen::Second(reading) if reading.t_us % 50_000 != 0 => {}
            Seen::Second(reading) => seconds.push(reading.t_us),
            // Other tests of this program have children too.
            Seen::Exit {
                key,
                exit_code,
                signal,
                ..
            } if key.pid == child.id() => exits.push((exit_code, signal)),
            Seen::Tree(TreeEvent::Gone { key }, t_us) if key.pid == child.id() => gone.push(t_us),
            _ => {}
        }
    }
    assert_eq!(seconds, [0, 1_000_000, 2_000_000, 3_000_000]);
    assert_eq!(gone, [2_050_000]);
    assert_eq!(exits, [(None, Some(9))]);
    let ticks: Vec<_> = blocks.iter().map(|block| block.t_us.len()).collect();
    assert_eq!(ticks[..2], [20, 20]);
    for block in &blocks[..2] {
        let column = column_of(block, child.id());
        assert_eq!(
            (column.first, column.rss.len(), column.anon.len()),
            (0, 20, 20)
        );
        assert!(
            column
                .rss
                .iter()
                .zip(&column.anon)
                .all(|(rss, anon)| rss > anon && *rss > 0)
        );
    }
    assert_eq!(blocks[2].t_us[0], 2_000_000);
    assert_eq!(column_of(&blocks[2], child.id()).rss.len(), 1);
}

#[test]
fn a_hole_begins_another_column() {
    let (mut child, mut sampler, _seen) = sampler();
    sampler.block.begin_tick(0, 0);
    sampler.block.begin_tick(50_000, 0);
    let tree = &mut sampler.tree;
    let member = &mut tree.members_mut()[0];
    let statm = member.read().unwrap().unwrap();
    sampler.block.put(member, statm);
    sampler.block.begin_tick(100_000, 0);
    sampler.block.begin_tick(150_000, 0);
    sampler.block.put(member, statm);
    sampler.block.begin_tick(200_000, 0);
    sampler.block.put(member, statm);
    let block = sampler.take_block().unwrap();
    let spans: Vec<_> = block
        .columns
        .iter()
        .map(|column| (column.first, column.rss.len()))
        .collect();
    assert_eq!(spans, [(1, 1), (3, 2)]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_a_second_is_gathered_in_does_not_move_from_the_second_on() {
    loop {
        let (mut child, mut sampler, _seen) = sampler();
        for tick in 0..25 {
            sampler.tick(tick * 50_000);
        }
        let (members, before) = (sampler.tree.members().len(), sampler.block.address());
        let mut is_alone = members == 1;
        for tick in 25..60 {
            sampler.tick(tick * 50_000);
            is_alone &= sampler.tree.members().len() == members;
        }
        let after = sampler.block.address();
        child.kill().unwrap();
        child.wait().unwrap();
        // Children of other tests are below this process too, and what they take is gathered as well.
        if is_alone {
            assert_eq!(before, after);
            return;
        }
    }
}

#[test]
fn a_full_queue_loses_and_counts_and_does_not_wait() {
    let (sender, _seen) = sync_channel(1);
    let teller = Teller::new(sender);
    for is_bulk in [true, true, false, false, false] {
        teller.tell(is_bulk);
    }
    assert_eq!(teller.lost().load(Ordering::Relaxed), 4);
}
