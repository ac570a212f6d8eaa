//! Highwater's own commands among the steps of a job.

use super::*;

#[test]
fn own_commands_are_no_part_of_a_job_whether_seen_before_their_exec_or_after() {
    for (mut world, parent) in [(World::new(), AGENT), (beside_steps(), 50)] {
        world.process(70, parent, 70, "sh");
        // Seen as what it is, with what it starts.
        world.process(71, 70, 71, "highwater");
        world.write("71/cmdline", "/bin/highwater\0doctor\0");
        world.process(72, 71, 72, "python");
        // Seen as the fork of a shell.
        world.process(73, 70, 73, "sh");
        // One that records a command.
        world.process(74, 70, 74, "highwater");
        world.write("74/cmdline", "highwater\0run\0--\0pytest\0");
        for pid in [72, 73, 74] {
            world.tree.consider(pid, 0).unwrap();
        }
        let born: Vec<u32> = world.born().into_iter().map(|(pid, _)| pid).collect();
        assert_eq!(born, [70, 73, 74]);
        world.write("73/cmdline", "/bin/highwater\0status\0");
        world.tree.refresh_commands(200_000).unwrap();
        world.tree.bury();
        let events: Vec<TreeEvent> = world.tree.take_events().collect();
        assert!(
            matches!(events.as_slice(), [TreeEvent::Gone { key }] if key.pid == 73),
            "{events:?}"
        );
        world.process(73, 70, 73, "highwater");
        world.write("73/cmdline", "/bin/highwater\0status\0");
        world.tree.consider(73, 300_000).unwrap();
        assert_eq!(world.born(), []);
    }
}
