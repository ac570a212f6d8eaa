use std::fs;

use tempfile::TempDir;

use super::*;

struct World {
    root: TempDir,
    copies: Copies,
}

impl World {
    fn new() -> Self {
        Self {
            root: TempDir::new().unwrap(),
            copies: Copies::default(),
        }
    }

    /// A process whose `auxv` names a place; the random bytes are there, if they can be read.
    fn process(&self, pid: u32, vdso: usize, random: Option<u8>) {
        let folder = self.root.path().join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        let words = [33, vdso, 25, 8, 0, 0].map(usize::to_ne_bytes);
        fs::write(folder.join("auxv"), words.concat()).unwrap();
        drop(fs::remove_file(folder.join("mem")));
        if let Some(byte) = random {
            let bytes = [[0; 8].as_slice(), &[byte; RANDOM_BYTES]].concat();
            fs::write(folder.join("mem"), bytes).unwrap();
        }
    }

    fn judge(&mut self, pid: u32, line: &str) -> Option<bool> {
        self.judge_beside(pid, line, &[])
    }

    fn judge_beside(&mut self, pid: u32, line: &str, members: &[u32]) -> Option<bool> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let key_of = |pid| ProcessKey {
            pid,
            start_ticks: 1,
        };
        let (key, members) = (key_of(pid), members.iter().copied().map(key_of));
        self.copies
            .judge(&Procfs::new(self.root.path()), key, &words, members)
    }
}

#[test]
fn a_fork_has_what_its_parent_got_at_exec() {
    let mut world = World::new();
    for pid in [7, 8] {
        world.process(pid, 1000, Some(5));
    }
    world.process(9, 2000, Some(6));
    assert_eq!(world.judge(7, "python -m pytest"), Some(false));
    // Asked again, it is no copy of itself.
    assert_eq!(world.judge(7, "python -m pytest"), Some(false));
    assert_eq!(world.judge(8, "python -m pytest"), Some(true));
    assert_eq!(world.judge(9, "python -m pytest"), Some(false));
}

#[test]
fn a_fork_that_is_seen_before_its_parents_exec_is_a_fork_all_the_same() {
    let mut world = World::new();
    world.process(6, 500, Some(4));
    world.process(7, 1000, Some(5));
    world.process(8, 1000, Some(5));
    // What the parent was before it called exec.
    assert_eq!(world.judge(7, "highwater run -- x"), Some(false));
    assert_eq!(world.judge_beside(8, "pytest", &[6, 7, 8]), Some(true));
    assert_eq!(world.judge(7, "pytest"), Some(false));
    // One that is younger is no parent.
    world.process(9, 3000, Some(7));
    world.process(10, 3000, Some(7));
    assert_eq!(world.judge_beside(9, "pytest", &[9, 10]), Some(false));
}

#[test]
fn who_called_exec_is_a_copy_no_more() {
    let mut world = World::new();
    world.process(7, 1000, Some(5));
    world.process(8, 1000, Some(5));
    assert_eq!(world.judge(7, "pytest"), Some(false));
    assert_eq!(world.judge(8, "pytest"), Some(true));
    world.process(8, 2000, Some(6));
    assert_eq!(world.judge(8, "pytest"), Some(false));
}

#[test]
fn a_pytest_that_ended_is_remembered() {
    let mut world = World::new();
    world.process(7, 1000, Some(5));
    assert_eq!(world.judge(7, "pytest"), Some(false));
    fs::remove_dir_all(world.root.path().join("7")).unwrap();
    world.process(8, 1000, Some(5));
    assert_eq!(world.judge(8, "pytest"), Some(true));
}

#[test]
fn where_addresses_are_not_random_the_bytes_tell() {
    let mut world = World::new();
    world.process(7, 1000, Some(5));
    world.process(8, 1000, Some(6));
    world.process(9, 1000, Some(6));
    assert_eq!(world.judge(7, "pytest"), Some(false));
    assert_eq!(world.judge(8, "pytest"), Some(false));
    assert_eq!(world.judge(9, "pytest"), Some(true));
}

#[test]
fn auxv_suffices_where_the_memory_is_closed() {
    let mut world = World::new();
    world.process(7, 1000, None);
    world.process(8, 1000, None);
    assert_eq!(world.judge(7, "pytest"), Some(false));
    assert_eq!(world.judge(8, "pytest"), Some(true));
}

#[test]
fn nothing_is_said_where_nothing_can_be_read() {
    let mut world = World::new();
    assert_eq!(world.judge(7, "pytest"), None);
    assert_eq!(world.judge(7, "sleep 1"), Some(false));
}
